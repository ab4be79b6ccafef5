"""Compute of a study's models: chosen, verified, or rejected with the nearest."""

import re
from dataclasses import replace

import pytest

from flows.errors import UnmatchedCompute
from flows.study.load import load_study
from flows.study.matching import dense_partner, match_models
from models.cost.flops import flops_per_token
from models.presets import PRESETS
from models.run_model import change_config
from tests.flows.study.factories import study, write_study

VOCABULARY = 832
SWITCH_FLOPS = flops_per_token(replace(PRESETS["tiny_switch"], vocab_size=VOCABULARY))


def match(folder, models):
    """Return the matched models of a study."""
    write_study(folder, study(models=models, claims={}))
    return match_models(load_study(folder, "small"), VOCABULARY, "small.yaml")


def test_match_models_takes_the_dense_counterpart_where_its_flops_are_equal(tmp_path):
    models = match(tmp_path, {"dense": {"matches": "moe"}, "moe": {"preset": "tiny_switch"}})
    assert list(models) == ["dense", "moe"]
    assert (models["dense"].preset, models["dense"].changes) == ("tiny_dense", {})
    assert models["dense"].flops_ratio == pytest.approx(1, abs=0.05)
    assert dense_partner(models["moe"], models) == "dense"
    assert dense_partner(models["dense"], models) is None


def test_match_models_scales_the_width_to_a_multiple_of_the_flops(tmp_path):
    models = match(
        tmp_path,
        {
            "moe": {"preset": "tiny_switch"},
            "dense": {"matches": "moe"},
            "large": {"matches": "moe", "flops_ratio": 3, "tolerance": 0.1},
        },
    )
    large = models["large"]
    assert large.flops_per_token == pytest.approx(3 * SWITCH_FLOPS, rel=0.1)
    # Preset and changes give the same model again, as a run has them.
    again = change_config(PRESETS[large.preset], large.changes)
    assert replace(again, vocab_size=VOCABULARY) == large.config
    assert large.config.d_ff == 2 * large.config.d_model


def test_match_models_varies_d_ff_of_a_router_with_more_experts_per_token(tmp_path):
    models = match(
        tmp_path,
        {
            "moe": {"preset": "tiny_switch"},
            "dense": {"matches": "moe"},
            "gs": {"preset": "tiny_gs", "matches": "moe", "vary": "d_ff"},
        },
    )
    assert models["gs"].changes == {"d_ff": 40}
    assert models["gs"].flops_ratio == pytest.approx(1, abs=0.05)


def test_match_models_preset_of_other_compute_names_the_nearest(tmp_path):
    models = {"moe": {"preset": "tiny_switch"}, "gs": {"preset": "tiny_gs", "matches": "moe"}}
    with pytest.raises(UnmatchedCompute) as caught:
        match(tmp_path, models)
    pattern = (
        r"small\.yaml: models\.gs: 54,665 FLOPs per token are 1\.176 times those of 'moe', "
        r"expected 1 within 5 %; the closest has d_model \d+, d_ff \d+, \d heads and [\d,]+ FLOPs, "
        r"(?P<ratio>[\d.]+) times: set vary or tolerance"
    )
    closest = re.fullmatch(pattern, str(caught.value))
    assert closest
    assert float(closest["ratio"]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (
            {"moe": {"preset": "tiny_switch"}},
            "models.moe: no dense model has its 46,473 FLOPs per token within 5 %; the study "
            "has no dense model: add models.dense: {matches: moe}",
        ),
        (
            {"moe": {"preset": "tiny_gs"}, "small": {"preset": "tiny_dense"}},
            "the closest, 'small', has 45,449, 0.831 times: add models.dense: {matches: moe}",
        ),
        ({"moe": {"preset": "tiny_swich"}}, "models.moe: preset 'tiny_swich' is not one of"),
        (
            {"moe": {"preset": "tiny_switch", "model": {"moe": {"experts": 4}}}},
            "models.moe: moe.'experts' is not one of num_experts",
        ),
        (
            {
                "moe": {"preset": "tiny_switch"},
                "dense": {"matches": "moe", "flops_ratio": 3, "tolerance": 0.001},
            },
            "expected 3 within 0.1 %",
        ),
    ],
)
def test_match_models_rejects_studies_without_equal_compute(models, expected, tmp_path):
    with pytest.raises(UnmatchedCompute, match=re.escape(expected)):
        match(tmp_path, models)


def test_match_models_describes_changes_of_the_experts(tmp_path):
    models = match(
        tmp_path,
        {
            "moe": {"preset": "tiny_switch", "model": {"moe": {"num_experts": 4}}},
            "dense": {"preset": "tiny_dense", "matches": "moe"},
        },
    )
    assert models["moe"].changes == {"moe": {"num_experts": 4}}
    assert models["moe"].describe() == "tiny_switch with moe.num_experts 4"
    assert models["moe"].to_dict()["total_parameters"] < 200_000
