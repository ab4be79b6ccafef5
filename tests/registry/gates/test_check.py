"""All gates together: the outcome, what it spends, and which versions need an evaluation."""

import pytest

from registry.gates.check import check_gates
from registry.gates.names import CONDITIONS
from registry.gates.result import GateOutcome
from registry.policy import ComparisonRules, DataRules, Policy
from tests.registry.gates.factories import HEALTHY_LAYER, evidence, right

POLICY = Policy(comparison=ComparisonRules(margin=0.02))
CHAMPION = {"s/t": right(200, 400)}
BETTER = {"s/t": right(240, 400)}
EQUAL = {"s/t": right(201, 400)}


def names(report, passed=False):
    return [gate.name for gate in report.results if gate.passed is passed]


def test_version_that_passes_every_gate_is_promoted_and_spends():
    moe = {"model": {"moe": {"num_experts": 4}}, "router_health": {"encoder.1": HEALTHY_LAYER}}
    report = check_gates(evidence(2, BETTER, run=moe), evidence(1, CHAMPION), POLICY)
    assert report.outcome == GateOutcome.PROMOTED
    assert names(report) == []
    assert names(report, passed=True) == [
        "artifact_intact", "record_consistent", "code_committed", "data_validated",
        "licences_allowed", "uncontaminated", "contamination_recall", "contamination_precision",
        "enough_items", "suites_complete", "flops_per_token", "flops_per_item",
        "router_drop_share", "router_dead_experts", "router_entropy", "champion_readable",
        "same_precision", "same_items", "no_suite_worse", "better_or_cheaper",
    ]  # fmt: skip
    assert report.alpha_spent == pytest.approx(0.05 / 2)


def test_every_gate_is_named_with_its_condition_in_order():
    """`CONDITIONS` is the table of the documentation."""
    champion = evidence(1, CHAMPION)
    compared = check_gates(evidence(3, BETTER), champion, POLICY, promoted=[evidence(2, CHAMPION)])
    first = check_gates(evidence(3, BETTER), None, POLICY)
    all_names = [gate.name for gate in (*compared.results, first.results[-1])]
    assert all_names == list(CONDITIONS)


def test_level_of_the_test_falls_with_the_tests_before():
    report = check_gates(evidence(2, BETTER), evidence(1, CHAMPION), POLICY, num_earlier_tests=3)
    assert report.alpha_spent == pytest.approx(0.05 / (4 * 5))


def test_version_that_is_not_better_leaves_the_champion_unchanged():
    report = check_gates(evidence(2, EQUAL), evidence(1, CHAMPION), POLICY)
    assert report.outcome == GateOutcome.UNCHANGED
    assert names(report) == ["better_or_cheaper"]
    assert report.alpha_spent > 0
    assert report.can_override


def test_cheaper_version_that_is_not_worse_is_promoted():
    cheaper = evidence(2, EQUAL, evaluation={"flops_per_item": 2.5e7})
    report = check_gates(cheaper, evidence(1, CHAMPION), POLICY)
    assert report.outcome == GateOutcome.PROMOTED
    result = report.results[-1]
    assert (result.name, result.limit) == ("better_or_cheaper", -0.02)


def test_cheaper_version_must_not_be_worse_than_an_earlier_champion():
    cheaper = evidence(3, EQUAL, evaluation={"flops_per_item": 2.5e7})
    best = evidence(1, {"s/t": right(215, 400)})
    report = check_gates(cheaper, evidence(2, CHAMPION), POLICY, promoted=[best])
    assert report.outcome == GateOutcome.UNCHANGED
    assert "version 1" in report.results[-1].detail


def test_refused_version_spends_nothing_but_shows_its_comparison():
    report = check_gates(evidence(2, BETTER, dataset=None), evidence(1, CHAMPION), POLICY)
    assert report.outcome == GateOutcome.REFUSED
    assert names(report) == ["data_validated"]
    assert "better_or_cheaper" in names(report, passed=True)
    assert report.alpha_spent == 0
    assert report.reason.startswith("data_validated: not recorded")


def test_other_items_need_an_evaluation_if_every_requirement_is_met():
    old, older = ({"tasks": {"file_sha256": digit * 64}} for digit in "ce")
    report = check_gates(
        evidence(4, BETTER),
        evidence(2, CHAMPION, **old),
        POLICY,
        promoted=[evidence(1, CHAMPION, **older), evidence(3, CHAMPION)],
    )
    assert report.outcome == GateOutcome.NEEDS_EVALUATION
    assert report.other_items == (2, 1)
    assert names(report) == ["same_items", "same_items_as_earlier_champions"]
    assert report.alpha_spent == 0
    refused = check_gates(evidence(4, BETTER, dataset=None), evidence(2, CHAMPION, **old), POLICY)
    assert refused.outcome == GateOutcome.REFUSED


def test_first_champion_must_be_above_chance():
    """Chance is 0.25."""
    assert check_gates(evidence(1, CHAMPION), None, POLICY).outcome == GateOutcome.PROMOTED
    report = check_gates(evidence(1, {"s/t": right(103, 400)}), None, POLICY)
    assert report.outcome == GateOutcome.REFUSED
    assert names(report) == ["above_chance_and_baseline"]
    assert "not shown to be above chance" in report.reason


def test_first_champion_must_not_be_worse_than_the_cheapest_version():
    baseline = evidence(1, BETTER)
    report = check_gates(evidence(2, CHAMPION), None, POLICY, baseline=baseline)
    assert names(report) == ["above_chance_and_baseline"]
    report = check_gates(evidence(2, BETTER), None, POLICY, baseline=evidence(1, CHAMPION))
    assert report.outcome == GateOutcome.PROMOTED


def test_champion_is_compared_with_nothing():
    report = check_gates(evidence(1, CHAMPION), None, POLICY, is_champion=True)
    assert names(report) == []
    assert "above_chance_and_baseline" not in names(report, passed=True)
    assert report.alpha_spent == 0


@pytest.mark.parametrize("field", ["artifact_faults", "record_faults"])
def test_damaged_evidence_cannot_be_overridden(field):
    report = check_gates(evidence(1, CHAMPION, **{field: ("damaged",)}), None, POLICY)
    assert report.outcome == GateOutcome.REFUSED
    assert not report.can_override


def test_unreadable_champion_refuses_and_can_be_overridden():
    champion = evidence(1, CHAMPION, artifact_faults=("samples.parquet is missing",))
    champion.result.item_scores.clear()
    report = check_gates(evidence(2, BETTER), champion, POLICY)
    assert report.outcome == GateOutcome.REFUSED
    assert report.reason == "champion_readable: samples.parquet is missing"
    assert report.can_override


def test_unreadable_earlier_champion_is_not_compared():
    earlier = evidence(1, CHAMPION)
    earlier.result.item_scores.clear()
    report = check_gates(evidence(3, BETTER), evidence(2, CHAMPION), POLICY, promoted=[earlier])
    assert report.outcome == GateOutcome.PROMOTED


def test_replicates_with_other_seeds_are_part_of_the_comparison():
    seeds = {
        seed: evidence(2 + seed, {"s/t": right(240 + seed, 400)}, run={"seed": seed})
        for seed in (0, 1, 2)
    }
    others = tuple(seeds[seed].result for seed in (1, 2))
    candidate = evidence(2, {"s/t": right(240, 400)}, replicates=others)
    report = check_gates(candidate, evidence(1, CHAMPION), POLICY)
    assert "3 against 1 seeds and 400 items" in report.results[-1].detail


def test_results_are_json_with_finite_numbers():
    candidate = evidence(2, BETTER, evaluation={"precision": "int4"})
    report = check_gates(candidate, evidence(1, CHAMPION), POLICY)
    values = {gate.name: gate.to_dict() for gate in report.results}
    assert values["same_precision"]["value"] is None
    assert values["same_precision"]["passed"] is False
    assert values["enough_items"]["value"] == 400


def test_policy_of_unrecorded_data_applies_to_all_gates_of_the_data():
    lenient = Policy(data=DataRules(allow_unrecorded=True))
    unknown = {
        "dataset": None, "run": {"licences": None}, "tasks": {"num_contaminated": None},
        "evaluation": {"overlap_self_test": None},
    }  # fmt: skip
    assert check_gates(evidence(1, CHAMPION, **unknown), None, lenient).outcome == "promoted"
