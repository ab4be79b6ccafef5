"""Claims judged by the finished runs of a study, and what is missing."""

import numpy as np
import pytest

from flows.errors import InvalidStudy
from flows.runtime.stage_runner import log_file
from flows.study.expansion import plan_study
from flows.study.results import collect_results, results_to_dict
from tests.flows.study.factories import study, study_project, write_study, write_study_run

TASKS = ("sample_knowledge/a", "sample_knowledge/b", "sample_rules/c")
ACCURACY = {"moe_base": 0.1, "dense_base": 0.1, "moe_tuned": 0.8, "dense_tuned": 0.2}


@pytest.fixture
def planned(tmp_path):
    """Return a function that plans a study in a project."""
    folder = study_project(tmp_path / "project").folder

    def plan(values):
        write_study(folder, values)
        return plan_study(folder, "small")

    return plan


def write_runs(plan, accuracy_by_run, *, seeds=(0, 1, 2)):
    """Write the results of runs: the share of right answers is the accuracy, give or take."""
    for number, (run, accuracy) in enumerate(accuracy_by_run.items()):
        for seed in seeds:
            generator = np.random.default_rng([number, seed])
            scores = {task: generator.random(80) < accuracy for task in TASKS}
            write_study_run(
                plan.workspaces[0].folder, run, seed, scores, is_moe=run.startswith("moe")
            )


def test_collect_results_confirms_a_claim_of_clear_scores(planned):
    plan = planned(study())
    write_runs(plan, ACCURACY)
    (variant,) = collect_results(plan)
    (claim,) = variant.claims
    assert claim.verdict == "confirmed"
    assert claim.mean.difference == pytest.approx(0.6, abs=0.1)
    assert claim.mean.low > 0
    assert claim.mean.num_items == 160
    assert list(claim.mean.by_seed) == ["0", "1", "2"]
    assert np.mean(list(claim.mean.by_seed.values())) == pytest.approx(claim.mean.difference)
    assert not claim.missing


@pytest.mark.parametrize(
    ("accuracies", "bound", "verdict"),
    [
        ({"moe_tuned": 0.2, "dense_tuned": 0.8}, {"above": 0}, "contradicted"),
        ({"moe_tuned": 0.5, "dense_tuned": 0.5}, {"above": 0}, "undecided"),
        ({"moe_tuned": 0.5, "dense_tuned": 0.5}, {"within": 0.4}, "confirmed"),
        ({"moe_tuned": 0.9, "dense_tuned": 0.1}, {"within": 0.1}, "contradicted"),
        ({"moe_tuned": 0.5, "dense_tuned": 0.5}, {"within": 0.01}, "undecided"),
    ],
)
def test_verdict_follows_from_interval_and_bound(planned, accuracies, bound, verdict):
    values = study()
    values["claims"]["gain"].pop("above")
    values["claims"]["gain"].update(bound)
    plan = planned(values)
    write_runs(plan, {**ACCURACY, **accuracies})
    assert collect_results(plan)[0].claims[0].verdict == verdict


def test_mean_of_parts_has_the_verdict_and_each_part_its_own(planned):
    values = study()
    parts = values["claims"]["gain"]["parts"]
    parts["rules"] = {**parts["knowledge"], "tasks": ["sample_rules/*"]}
    plan = planned(values)
    write_runs(plan, ACCURACY)
    (claim,) = collect_results(plan)[0].claims
    knowledge, rules = claim.parts["knowledge"], claim.parts["rules"]
    assert claim.mean.difference == pytest.approx((knowledge.difference + rules.difference) / 2)
    assert set(claim.part_verdicts) == {"knowledge", "rules"}


def test_arms_at_chance_are_noted(planned):
    plan = planned(study())
    write_runs(plan, {**ACCURACY, "moe_base": 0.0, "dense_base": 0.0, "dense_tuned": 0.6})
    (variant,) = collect_results(plan)
    assert variant.claims[0].notes == (
        "knowledge: random answers are not excluded for dense/base, moe/base; where all start "
        "from chance, the contrast shows what each gains, not which was better before",
    )
    is_excluded = {(s.model, s.arm): s.excludes_chance for s in variant.scores}
    assert not is_excluded["moe", "base"]
    assert is_excluded["moe", "tuned"]


def test_missing_runs_are_named_with_their_error_and_never_filled_in(planned):
    plan = planned(study())
    write_runs(plan, ACCURACY)
    workspace = plan.workspaces[0].folder
    (workspace / "runs/moe_tuned/seed_2/evaluation.json").unlink()
    (workspace / "runs/dense_base/seed_1/run.json").unlink()
    log = log_file(workspace, "train@dense_base-1")
    log.parent.mkdir(parents=True)
    log.write_text("step 1\nerror: train@dense_base-1: killed by SIGKILL; free memory\n")
    (variant,) = collect_results(plan)
    missing = {run.label: run.missing_reason for run in variant.runs if run.result is None}
    assert missing == {
        "moe_tuned-2": "trained, not evaluated yet",
        "dense_base-1": "train@dense_base-1: killed by SIGKILL; free memory",
    }
    (claim,) = variant.claims
    assert claim.missing == ("moe/tuned, seed 2", "dense/base, seed 1")
    assert claim.mean.num_seeds == 1
    assert claim.verdict == "undecided"
    assert "no interval over seeds" in claim.mean.basis


def test_claim_without_a_common_seed_is_not_judged(planned):
    plan = planned(study())
    write_runs(plan, {run: value for run, value in ACCURACY.items() if run != "moe_tuned"})
    (variant,) = collect_results(plan)
    (claim,) = variant.claims
    assert (claim.verdict, claim.mean, claim.parts) == ("not judged", None, {})
    assert claim.missing == tuple(f"moe/tuned, seed {seed}" for seed in (0, 1, 2))


def test_failed_data_stage_is_the_reason_of_every_run(planned):
    plan = planned(study())
    log = log_file(plan.workspaces[0].folder, "validate")
    log.parent.mkdir(parents=True)
    line = "validate: mixture: 3 rows fail held_out_entity_in_training; remove them"
    log.write_text(f"error: {line}\n")
    (variant,) = collect_results(plan)
    assert {run.missing_reason for run in variant.runs} == {line}
    assert variant.scores == ()
    assert variant.claims[0].verdict == "not judged"


def test_pattern_without_a_task_is_an_error_with_the_nearest(planned):
    values = study()
    values["claims"]["gain"]["parts"]["knowledge"]["tasks"] = ["sample_knowledge/aa"]
    plan = planned(values)
    write_runs(plan, ACCURACY)
    with pytest.raises(InvalidStudy, match="no evaluated task matches 'sample_knowledge/aa'; did"):
        collect_results(plan)


def test_results_as_json_have_costs_and_machine(planned):
    plan = planned(study())
    write_runs(plan, ACCURACY)
    values = results_to_dict(plan, collect_results(plan), "flanmoe study run small", "")
    run = values["variants"][0]["runs"][0]
    assert (run["model"], run["arm"], run["seed"]) == ("moe", "base", 0)
    assert run["training_flops"] == 1e9
    assert values["machine"]["processors"] == ["AMD EPYC"]
    assert values["models"]["dense"]["flops_ratio"] == pytest.approx(1, abs=0.05)
    assert values["models"]["moe"]["dense_partner"] == "dense"
    assert values["variants"][0]["missing"] == []
