"""Registries and run folders of release 0.1.0 stay readable, with equal results."""

import json
import math

import pytest

from registry.comparison.compare import ComparisonConfig, compare
from registry.comparison.results import read_result
from registry.errors import InvalidRecord
from registry.intake import read_submission
from registry.record_upgrades import task_weights
from registry.records import parse_evaluation_record, parse_run_record
from registry.store import Registry
from tests.registry.factories import write_policy
from tests.registry.release_0_1_0 import RELEASE_0_1_0

RENAMED_KEYS = {
    "n": "num_items", "tasks": "num_tasks", "a": "score_a", "b": "score_b",
    "error": "standard_error", "items_needed": "num_items_needed", "on_front": "on_frontier",
}  # fmt: skip


@pytest.fixture
def registry(old_registry, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    policy = write_policy(
        old_registry.project, evaluation={"min_items": 50}, data={"allow_unrecorded": True}
    )
    return Registry.open(old_registry.project, policy_path=policy)


def output(name):
    """Return what release 0.1.0 printed."""
    return json.loads((RELEASE_0_1_0 / name).read_text())


def renamed(row):
    return {RENAMED_KEYS.get(key, key): value for key, value in row.items()}


def assert_same_rows(rows, old_rows, added=frozenset(), recomputed=frozenset()):
    """Assert that rows have the values of release 0.1.0.

    `added` are keys that it did not have, `recomputed` those of which the statistics changed.
    """
    assert len(rows) == len(old_rows)
    for row, old_row in zip(rows, old_rows, strict=True):
        old_row = renamed(old_row)
        assert all(isinstance(row[key], float) for key in recomputed)
        expected = {key: value for key, value in old_row.items() if key not in recomputed}
        row = {key: value for key, value in row.items() if key not in added | recomputed}
        numbers = {key: value for key, value in expected.items() if isinstance(value, float)}
        assert expected.keys() == row.keys()
        assert {key: row[key] for key in numbers} == pytest.approx(numbers, abs=1e-12)
        assert {k: v for k, v in row.items() if k not in numbers} == {
            k: v for k, v in expected.items() if k not in numbers
        }


def test_versions_of_release_0_1_0_are_listed(registry):
    dense, moe = registry.versions()
    assert (dense.name, dense.kind, dense.standing) == ("dense", "dense", "registered")
    assert (moe.name, moe.kind, moe.standing) == ("moe", "MoE", "champion")
    assert moe.evaluation.accuracy == pytest.approx(0.216667)
    assert moe.run_record.world_size == 1
    assert moe.run_record.resumed_from_step == 0
    assert moe.speed is None
    assert (moe.evaluation.device, moe.evaluation.precision) == ("cpu", "float32")
    assert registry.champion("flan-sample") == moe == registry.show("flan-sample", 2)


def test_history_of_release_0_1_0_contains_the_evidence(registry):
    entries = registry.history()
    changes = [(entry.sequence, entry.version, entry.kind) for entry in entries]
    assert changes == [(1, 1, "registered"), (2, 2, "registered"), (3, 2, "promoted")]
    assert entries[-1].details["previous"] is None
    gates = {gate["name"] for gate in entries[-1].details["gates"]}
    assert gates >= {"enough_items", "above_chance"}


def test_frontier_of_release_0_1_0_is_unchanged(registry):
    value, old = registry.frontier("flan-sample", "token").to_dict(), output("frontier.json")
    assert (value["cost"], value["unit"], value["paired"]) == (
        old["cost"], old["unit"], old["paired"],
    )  # fmt: skip
    added = {
        "is_champion", "is_rejected", "moe_version", "dense_version", "start_version", "num_seeds",
        "basis", "versions", "random_score", "tie_group", "against_baseline", "cost_ratios",
    }  # fmt: skip
    # Not rounded; from a normal distribution instead of the bootstrap; Student's interval.
    recomputed = {"standard_error", "probability"}
    assert_same_rows(value["points"], old["points"], added, recomputed)
    recomputed = {"low", "high", "difference"}
    assert_same_rows(value["dense_partners"], old["twins"], added, recomputed)
    for row, old_row in zip(value["points"], old["points"], strict=True):
        assert row["standard_error"] == pytest.approx(old_row["error"], abs=1e-6)
        assert row["probability"] == pytest.approx(old_row["probability"], abs=0.02)
    for row, old_row in zip(value["dense_partners"], old["twins"], strict=True):
        assert row["difference"] == pytest.approx(old_row["difference"], abs=1e-6)
        assert old_row["low"] - 0.015 < row["low"] < old_row["low"]
        assert old_row["high"] < row["high"] < old_row["high"] + 0.015
    assert value["without_partner"] == ()


def test_comparison_of_release_0_1_0_is_unchanged(old_registry):
    results = [
        [read_result(label, folder)]
        for label, folder in zip(("v1", "v2"), old_registry.artifacts, strict=True)
    ]
    value, old = compare(*results, ComparisonConfig()).to_dict(), output("compare.json")
    assert value["costs"] == old["compute"]
    # Student's interval instead of the bootstrap's; other random permutations for a suite.
    added = {"num_clusters", "decidable_difference", "basis"}
    p_values = {"p_value", "p_corrected"}
    assert_same_rows(value["suites"], old["suites"], added, {"low", "high"} | p_values)
    assert_same_rows(value["tasks"], old["tasks"], added, {"low", "high"})
    for row, old_row in zip(value["suites"], old["suites"], strict=True):
        assert row["p_value"] == pytest.approx(old_row["p_value"], abs=0.01)
        assert old_row["low"] - 0.015 < row["low"] < old_row["low"]
        assert old_row["high"] < row["high"] < old_row["high"] + 0.015


def test_versions_of_release_0_1_0_are_promoted_by_the_gates(registry):
    """The champion passes every gate; the other is no better, so it needs a person."""
    report = registry.promote("flan-sample", 2, actor="test")
    assert (report.outcome, report.reason) == ("unchanged", "it is champion already")
    assert [gate for gate in report.gates if not gate.passed] == []
    report = registry.promote("flan-sample", 1, actor="test")
    assert report.outcome == "unchanged"
    assert [gate.name for gate in report.gates if not gate.passed] == ["better_or_cheaper"]
    registry.promote("flan-sample", 1, actor="me", override="smaller")
    assert registry.champion("flan-sample").version == 1


def test_run_folder_of_release_0_1_0_is_registered(old_registry, registry):
    folder = old_registry.artifacts[0]
    submission = read_submission(folder, folder / "tokenizer")
    # The digest of a result does not depend on the schema version of its record.
    assert registry.register("flan-sample", submission).version == 1
    assert registry.register("other", submission).run_record.schema_version == 2


def test_upgraded_weights_reproduce_the_averages(old_registry):
    for folder in old_registry.artifacts:
        record = json.loads((folder / "evaluation.json").read_text())
        evaluation = parse_evaluation_record(record, "old")
        assert sum(task.weight for task in evaluation.tasks) == pytest.approx(1)
        average = sum(task.weight * task.accuracy for task in evaluation.tasks)
        assert average == pytest.approx(evaluation.accuracy, abs=1e-5)


def test_task_weights_count_suites_units_and_tasks_alike():
    tasks = [
        {"suite": "a", "unit": "u"}, {"suite": "a", "unit": "u"}, {"suite": "a", "unit": "v"},
        {"suite": "b", "unit": "u"},
    ]  # fmt: skip
    weights = task_weights(tasks)
    assert [weight for weight, _ in weights] == [1 / 8, 1 / 8, 1 / 4, 1 / 2]
    assert [weight for _, weight in weights] == [1 / 4, 1 / 4, 1 / 2, 1]
    assert math.fsum(weight for weight, _ in weights) == 1


def test_upgrade_uncounted_contamination_is_none(old_registry):
    record = json.loads((old_registry.artifacts[0] / "evaluation.json").read_text())
    del record["contaminated"], record["tasks"][0]["contaminated"]
    evaluation = parse_evaluation_record(record, "old")
    assert evaluation.num_contaminated is None
    assert evaluation.tasks[0].num_contaminated is None


def test_upgrade_clean_score_without_items_is_none(old_registry):
    record = json.loads((old_registry.artifacts[0] / "evaluation.json").read_text())
    record["suites"][0]["clean"] = record["tasks"][0]["clean"] = {"n": 0}
    evaluation = parse_evaluation_record(record, "old")
    assert evaluation.suites[0].clean.accuracy is None
    assert evaluation.tasks[0].clean.num_items == 0


def test_upgrade_run_from_scratch_has_its_own_cost_and_other_starts_an_unknown_cost(old_registry):
    record = json.loads((old_registry.artifacts[0] / "run.json").read_text())
    run = parse_run_record(record, "old")
    assert run.cumulative_training_flops == run.training_flops == record["training_flops"]
    assert run.training_chain.origin == "scratch"
    (entry,) = run.training_chain.runs
    assert (entry.steps, entry.seed, entry.global_batch_size) == (500, 0, 8)
    started = parse_run_record({**record, "start": "base"}, "old")
    assert started.cumulative_training_flops is None
    assert started.training_chain.origin == "unknown"


def test_upgrade_malformed_records_are_named():
    with pytest.raises(InvalidRecord, match="old: tasks: Field required"):
        parse_evaluation_record({"schema_version": 1}, "old")
    with pytest.raises(InvalidRecord, match="not a record of schema version 1"):
        parse_evaluation_record({"schema_version": 1, "tasks": [1]}, "old")
    with pytest.raises(InvalidRecord, match="old: name: Field required"):
        parse_run_record({"schema_version": 1}, "old")
