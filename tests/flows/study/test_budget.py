"""A time budget scales steps, then seeds, and is the same in a second call."""

import pytest

from flows.errors import InvalidStudy
from flows.study import budget as budget_module
from flows.study.budget import fit_budget, plan_with_budget
from flows.study.estimate import RunEstimate, StudyEstimate, estimate_study
from flows.study.expansion import plan_study
from tests.flows.study.factories import study, study_project, write_study


def estimate(*, num_seeds=3, training_seconds=100.0, evaluation_seconds=10.0):
    """Return the estimate of a study of two runs on two processes."""
    run = RunEstimate(run="a", flops=10**9, training_seconds=training_seconds, is_measured=True)
    return StudyEstimate(
        runs=(run, run), num_seeds=num_seeds, num_variants=1, num_parallel=2,
        evaluation_seconds=evaluation_seconds, overhead_seconds=0.0,
    )  # fmt: skip


def test_estimate_adds_up_runs_and_seeds():
    costs = estimate()
    assert (costs.num_trainings, costs.flops) == (6, 6 * 10**9)
    assert costs.training_seconds == 300
    assert costs.total_seconds == 330
    assert estimate(evaluation_seconds=None).total_seconds == 300


def test_fit_budget_that_suffices_changes_nothing():
    scale = fit_budget(estimate(), 6)
    assert (scale.step_factor, scale.num_seeds) == (1, 3)


def test_fit_budget_scales_steps_first():
    scale = fit_budget(estimate(), 3)
    assert (scale.step_factor, scale.num_seeds) == (0.5, 3)


def test_fit_budget_reduces_seeds_to_two_if_few_steps_do_not_suffice():
    scale = fit_budget(estimate(num_seeds=5), 1.3)
    assert (scale.step_factor, scale.num_seeds) == (0.16, 3)
    with pytest.raises(
        InvalidStudy, match=r"--budget: 0\.5 minutes are too few: 2 seeds with 10 %"
    ):
        fit_budget(estimate(), 0.5)


def test_plan_with_budget_is_the_same_in_a_second_call_at_another_speed(tmp_path, monkeypatch):
    folder = study_project(tmp_path).folder
    write_study(folder, study())
    monkeypatch.setattr(budget_module, "estimate_study", lambda *_: estimate())
    first, scale = plan_with_budget(folder, "small", 3)
    assert scale.step_factor == 0.5
    assert first.workspaces[0].params.models.runs["moe_tuned"].steps == 15
    assert first.workspaces[0].folder.name == "study-small-budget-3"
    monkeypatch.setattr(budget_module, "estimate_study", lambda *_: estimate(training_seconds=200))
    second, _ = plan_with_budget(folder, "small", 3)
    assert second.workspaces == first.workspaces
    write_study(folder, study(seeds=[0, 1]))
    changed, _ = plan_with_budget(folder, "small", 3)
    assert changed.workspaces[0].params.models.seeds == (0, 1)
    assert changed.workspaces[0].params.models.runs["moe_tuned"].steps < 15


def test_estimate_study_measures_the_speed_of_models_that_have_not_trained(tmp_path):
    folder = study_project(tmp_path).folder
    training = {"models": {"training": {"global_batch_size": 2}}}
    write_study(folder, study(overrides=training, claims={}))
    costs = estimate_study(folder, plan_study(folder, "small"))
    assert [run.run for run in costs.runs] == ["moe_base", "dense_base", "moe_tuned", "dense_tuned"]
    assert all(run.training_seconds > 0 and not run.is_measured for run in costs.runs)
    by_run = {run.run: run for run in costs.runs}
    # The same model at the same speed: 30 steps take 1.5 times as long as 20.
    ratio = by_run["moe_tuned"].training_seconds / by_run["moe_base"].training_seconds
    assert ratio == pytest.approx(1.5)
    assert costs.evaluation_seconds is None
