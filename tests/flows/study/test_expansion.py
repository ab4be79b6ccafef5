"""Expansion of studies into runs, of the project's own and of small ones."""

import pytest

from flows.errors import InvalidParams, InvalidStudy
from flows.study import estimate
from flows.study.estimate import estimate_study
from flows.study.expansion import StudyScale, plan_study
from flows.study.load import list_studies
from tests.factories import ROOT
from tests.flows.study.factories import study, study_project, write_study


@pytest.fixture
def project(tmp_path):
    """Return a project folder without studies."""
    return study_project(tmp_path / "project").folder


@pytest.mark.parametrize("name", list_studies(ROOT))
def test_plan_study_of_the_project_is_valid(name):
    plan = plan_study(ROOT, name)
    assert plan.study.claims
    for workspace in plan.workspaces:
        runs = workspace.params.models.runs
        assert len(runs) == sum(len(plan.study.models_of(arm)) for arm in plan.study.arms)
        assert workspace.params.models.seeds == plan.study.seeds
        assert workspace.folder.parent == ROOT / ".flanmoe" / "workspaces"


@pytest.mark.parametrize("name", list_studies(ROOT))
def test_study_of_the_project_has_an_estimate_of_flops_and_time(name, monkeypatch):
    """Without training a step: the speed of large models would take minutes to measure."""
    monkeypatch.setattr(estimate, "measure_step_seconds", lambda *_, **__: 0.1)
    plan = plan_study(ROOT, name)
    costs = estimate_study(ROOT, plan)
    num_runs = len(plan.workspaces[0].params.models.runs)
    assert costs.num_trainings == num_runs * len(plan.study.seeds) * len(plan.workspaces)
    assert costs.flops > 1e12
    assert costs.total_seconds > 0


def test_plan_study_every_model_goes_through_every_arm_with_its_own_weights(project):
    write_study(project, study())
    (workspace,) = plan_study(project, "small").workspaces
    assert workspace.data["models"]["runs"] == {
        "moe_base": {
            "preset": "tiny_switch", "start": "scratch", "data": "prefix_lm", "tasks": [],
            "steps": 20, "tuned": False,
        },
        "dense_base": {
            "preset": "tiny_dense", "start": "scratch", "data": "prefix_lm", "tasks": [],
            "steps": 20, "tuned": False,
        },
        "moe_tuned": {
            "preset": "tiny_switch", "start": "moe_base", "data": "train", "tasks": [],
            "steps": 30, "tuned": True,
        },
        "dense_tuned": {
            "preset": "tiny_dense", "start": "dense_base", "data": "train", "tasks": [],
            "steps": 30, "tuned": True,
        },
    }  # fmt: skip
    assert workspace.params.registry.model == "study-small"
    assert workspace.params.models.evaluation.suites == ("sample_knowledge", "sample_rules")


def test_plan_study_variants_have_workspaces_and_overrides_of_their_own(project):
    facts = {"data_pipelines": {"fetch": {"sample": {"facts_bits_per_parameter": 0.1}}}}
    write_study(project, study(variants={"few": facts, "usual": {}}))
    few, usual = plan_study(project, "small", suffix="budget-5").workspaces
    assert few.params.data_pipelines.fetch.sample.facts_bits_per_parameter == 0.1
    assert usual.params.data_pipelines.fetch.sample.facts_bits_per_parameter == 0.35
    assert few.folder.name == "study-small-few-budget-5"
    assert few.params.models.runs == usual.params.models.runs


def test_plan_study_scaled_has_fewer_steps_and_seeds(project):
    values = study()
    values["arms"]["tuned"]["steps"] = 0
    write_study(project, values)
    plan = plan_study(project, "small", StudyScale(step_factor=0.01, num_seeds=2))
    (workspace,) = plan.workspaces
    assert workspace.params.models.seeds == (0, 1)
    steps = {name: run.steps for name, run in workspace.params.models.runs.items()}
    assert steps == {"moe_base": 1, "dense_base": 1, "moe_tuned": 0, "dense_tuned": 0}


def test_plan_study_errors_of_the_parameters_name_the_study(project):
    write_study(project, study(overrides={"models": {"evaluation": {"suites": ["sample_fact"]}}}))
    with pytest.raises(InvalidParams, match=r"^studies/small\.yaml: models\.evaluation\.suites"):
        plan_study(project, "small")
    values = study()
    values["arms"]["tuned"]["training"] = {"freeze": "gate"}
    write_study(project, values)
    with pytest.raises(InvalidParams, match=r"models\.runs\.dense_tuned\.training\.freeze: 'gate'"):
        plan_study(project, "small")


def test_plan_study_facts_without_text_are_rejected_before_any_work(project):
    text = {"data_pipelines": {"fetch": {"sample": {"text_documents": 1}}, "mix": {"text": "none"}}}
    write_study(project, study(overrides=text))
    with pytest.raises(InvalidParams, match=r"^studies/small\.yaml: data_pipelines\.mix\.text"):
        plan_study(project, "small")


def test_plan_study_two_pairs_of_the_same_name_are_rejected(project):
    values = study(
        models={
            "moe": {"preset": "tiny_switch"},
            "dense": {"matches": "moe"},
            "moe_a": {"preset": "tiny_switch"},
        },
        arms={"a_b": {"start": "scratch"}, "b": {"start": "scratch"}},
        claims={},
    )
    write_study(project, values)
    with pytest.raises(InvalidStudy, match="two pairs of model and arm are named 'moe_a_b'"):
        plan_study(project, "small")
