"""Gates of the training data, at and beyond their limits."""

import pytest

from registry.gates.data import check_data
from registry.policy import DataRules
from tests.registry.factories import SELF_TEST, dataset, failed_expectation
from tests.registry.gates.factories import evidence, right

LENIENT = DataRules(allow_unrecorded=True)


def results(rules=None, **changes):
    """Return the results of the data gates, by name."""
    return {gate.name: gate for gate in check_data(evidence(**changes), rules or DataRules())}


def test_good_data_passes_every_gate_with_its_numbers():
    gates = results()
    assert list(gates) == [
        "data_validated", "licences_allowed", "uncontaminated", "contamination_recall",
        "contamination_precision",
    ]  # fmt: skip
    assert all(gate.passed for gate in gates.values())
    assert gates["data_validated"].detail == "0 of 20 expectations failed"
    assert (gates["contamination_recall"].value, gates["contamination_recall"].limit) == (1, 0.95)


def test_failed_expectations_fail_unless_allowed_as_warnings():
    warning, other = failed_expectation(), failed_expectation(column="length")
    gate = results(dataset=dataset(failed_expectations=[warning, other]))["data_validated"]
    assert not gate.passed
    assert (gate.value, gate.limit) == (2, 0)
    assert gate.detail == (
        "2 of 20 expectations failed; first: cot: expect_column_values_to_be_between share "
        "(max_value=0.1), observed 0.2 (warning)"
    )
    allowed = DataRules(allowed_warnings=("cot: * share *",))
    assert results(allowed, dataset=dataset(failed_expectations=[warning]))["data_validated"].passed
    gate = results(allowed, dataset=dataset(failed_expectations=[warning, other]))["data_validated"]
    assert (gate.passed, gate.value) == (False, 1)
    assert "apart from 1 allowed warnings" in gate.detail


def test_blocking_expectations_are_never_allowed():
    blocking = dataset(failed_expectations=[failed_expectation(blocking=True)])
    gate = results(DataRules(allowed_warnings=("*",)), dataset=blocking)["data_validated"]
    assert not gate.passed
    assert gate.detail.endswith("(blocking)")


def test_data_without_any_expectation_is_not_validated():
    assert not results(dataset=dataset(num_expectations=0))["data_validated"].passed


def licence(terms):
    return {"source": f"niv2/{terms}", "licence": "own", "terms": terms}


def test_licences_of_other_terms_fail():
    open_only = DataRules(allowed_licences=("open",))
    assert results(open_only, run={"licences": [licence("open")]})["licences_allowed"].passed
    assert results(open_only, run={"licences": []})["licences_allowed"].passed
    gate = results(open_only, run={"licences": [licence("open"), licence("unstated")]})[
        "licences_allowed"
    ]
    assert (gate.passed, gate.value, gate.limit) == (False, 1, 0)
    assert gate.detail == (
        "2 sources (1 open, 1 unstated); allowed: open; first not allowed: niv2/unstated (own, "
        "unstated)"
    )


def two_suites(num_contaminated_a, num_contaminated_b):
    """Return the gate of suite `a` with 100 items and suite `b` with 10."""
    counts = {"a/t": num_contaminated_a, "b/t": num_contaminated_b}
    value = evidence(scores={"a/t": right(60, 100), "b/t": right(6, 10)})
    tasks = tuple(
        task.model_copy(update={"num_contaminated": counts[task.task]})
        for task in value.evaluation.tasks
    )
    object.__setattr__(value.result.evaluation, "tasks", tasks)
    return value


@pytest.mark.parametrize(
    ("rules", "counts", "passed", "value"),
    [
        (DataRules(), (0, 0), True, 0.0),
        (DataRules(), (0, 1), False, 0.1),
        (DataRules(max_contaminated_share=0.1), (10, 1), True, 0.1),
        (DataRules(max_contaminated_share=0.1), (11, 0), False, 0.11),
        (DataRules(max_contaminated_share=0.1), (0, 2), False, 0.2),
        (DataRules(max_contaminated_share_by_suite={"b": 0.2}), (0, 2), True, 0.0),
        (DataRules(max_contaminated_share_by_suite={"b": 0.2}), (1, 2), False, 0.01),
    ],
)
def test_contamination_is_limited_suite_by_suite(rules, counts, passed, value):
    gates = {gate.name: gate for gate in check_data(two_suites(*counts), rules)}
    gate = gates["uncontaminated"]
    assert gate.passed is passed
    assert gate.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("changes", "gate", "passed"),
    [
        ({"min_recall": 0.95}, "contamination_recall", True),
        ({"min_recall": 0.9499}, "contamination_recall", False),
        ({"precision": 0.99}, "contamination_precision", True),
        ({"precision": 0.9899}, "contamination_precision", False),
    ],
)
def test_self_test_has_limits_of_recall_and_precision(changes, gate, passed):
    gates = results(evaluation={"overlap_self_test": {**SELF_TEST, **changes}})
    assert gates[gate].passed is passed


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"dataset": None}, "data_validated"),
        ({"run": {"licences": None}}, "licences_allowed"),
        ({"tasks": {"num_contaminated": None}}, "uncontaminated"),
        ({"evaluation": {"overlap_self_test": None}}, "contamination_recall"),
        ({"evaluation": {"overlap_self_test": None}}, "contamination_precision"),
    ],
)
def test_what_is_not_recorded_passes_only_if_the_policy_says_so(changes, gate):
    strict, lenient = results(**changes)[gate], results(LENIENT, **changes)[gate]
    assert not strict.passed
    assert strict.detail.startswith("not recorded: ")
    assert (strict.value, strict.limit) == (None, None)
    assert lenient.passed
    assert lenient.detail.endswith("(accepted by data.allow_unrecorded)")
