"""Studies that cannot be read: one line for each error, with its key and what to do."""

import pytest

from flows.errors import InvalidParams, InvalidStudy
from flows.study.load import list_studies, load_study
from tests.flows.study.factories import study, write_study


def error_of(folder, values):
    """Return the error lines of a study."""
    write_study(folder, values)
    with pytest.raises(InvalidStudy) as caught:
        load_study(folder, "small")
    return str(caught.value)


def claim(**changes):
    """Return a study whose claim has other values."""
    values = study()
    values["claims"]["gain"].update(changes)
    return values


def part(**changes):
    """Return a study whose contrast has other values."""
    values = study()
    values["claims"]["gain"]["parts"]["knowledge"].update(changes)
    return values


def test_load_study_valid_file(tmp_path):
    write_study(tmp_path, study())
    loaded = load_study(tmp_path, "small")
    assert loaded.models_of("tuned") == ("moe", "dense")
    assert list_studies(tmp_path) == ["small"]


def test_load_study_unknown_name_suggests_the_nearest(tmp_path):
    write_study(tmp_path, study())
    with pytest.raises(
        InvalidStudy, match="no study 'smal'; did you mean 'small'\\? studies: small"
    ):
        load_study(tmp_path, "smal")
    with pytest.raises(InvalidStudy, match="there is no study 'any'; studies: none"):
        load_study(tmp_path / "other", "any")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (study(seeds=[0, 1, 1]), "seeds.2: 1 is listed twice; remove one"),
        (study(seeds=[0]), "seeds: [0] are fewer than 2; a claim about models needs an interval"),
        (study(modells={}), "modells: unknown key; did you mean 'models'"),
        (study(models={}), "models: {} has no entry; add one"),
        (study(arms={"a-b": {"start": "scratch"}}), "arms: 'a-b' is not a valid name"),
        (
            study(models={"moe": {"preset": "tiny_switch", "flop_ratio": 1}}),
            "models.moe.flop_ratio: unknown key; did you mean 'flops_ratio'",
        ),
        (study(models={"moe": {}}), "models.moe: it has neither preset nor matches"),
        (
            study(models={"moe": {"preset": "tiny_switch", "matches": "moee"}}),
            "models.moe.matches: there is no 'moee'; did you mean 'moe'? allowed: moe",
        ),
        (
            study(models={"a": {"matches": "b"}, "b": {"matches": "a"}}),
            "models.a.matches: 'b' leads back to 'a'",
        ),
        (
            study(models={"moe": {"preset": "tiny_switch", "vary": "d_ff"}}),
            "models.moe.matches: is missing; flops_ratio and vary need the model to match",
        ),
        (
            study(arms={"base": {"start": "bas"}}, claims={}),
            "arms.base.start: there is no 'bas'; did you mean 'base'? allowed: scratch, base",
        ),
        (
            study(arms={"a": {"start": "b"}, "b": {"start": "a"}}, claims={}),
            "arms.a.start: 'b' leads back to 'a'",
        ),
        (
            study(
                arms={"a": {"start": "scratch", "models": ["moe"]}, "b": {"start": "a"}}, claims={}
            ),
            "arms.b.start: dense has no arm 'a' to start from; add it to arms.a.models",
        ),
        (claim(above=None), "claims.gain.above: the claim needs either above or within"),
        (claim(within=0.1), "claims.gain.above: the claim needs either above or within"),
        (claim(primary=False), "claims: 0 are primary; exactly 1 must be"),
        (claim(parts={}), "claims.gain.parts: {} has no contrast"),
        (
            part(plus=["moe/tuned", "dense/bass"]),
            "claims.gain.parts.knowledge.plus.1: there is no 'bass'; did you mean 'base'?",
        ),
        (
            part(minus=["moe_base", "dense/tuned"]),
            "claims.gain.parts.knowledge.minus.0: 'moe_base' must be MODEL/ARM",
        ),
        (
            part(plus=["moe/tuned"]),
            "claims.gain.parts.knowledge.minus: 2 terms for 1 of plus; both need the same number",
        ),
        (part(tasks=["knowledge"]), "knowledge.tasks.0: 'knowledge' must be SUITE/TASK or SUITE/*"),
        (part(tasks=[]), "claims.gain.parts.knowledge.tasks: [] has no entry"),
        (study(published=["flan_mmlu"]), "published: there is no 'flan_mmlu'"),
    ],
)
def test_load_study_error_names_key_value_and_remedy(values, expected, tmp_path):
    message = error_of(tmp_path, values)
    assert expected in message
    assert all(line.startswith("studies/small.yaml: ") for line in message.splitlines())


def test_load_study_claim_about_an_arm_that_a_model_does_not_go_through(tmp_path):
    values = study()
    values["arms"]["tuned"]["models"] = ["moe"]
    message = error_of(tmp_path, values)
    assert message.endswith(
        "claims.gain.parts.knowledge.minus.1: model 'dense' has no arm 'tuned'; add it to "
        "arms.tuned.models"
    )


def test_load_study_file_that_is_not_a_mapping(tmp_path):
    write_study(tmp_path, "- a list")
    with pytest.raises(InvalidParams, match=r"small\.yaml must be a mapping"):
        load_study(tmp_path, "small")
