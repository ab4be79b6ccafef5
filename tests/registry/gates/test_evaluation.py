"""Gates of the evaluation, at and beyond their limits."""

import pytest

from registry.gates.evaluation import check_evaluation, check_items, check_precision
from registry.policy import EvaluationRules
from tests.registry.gates.factories import evidence, right

RULES = EvaluationRules(min_items=100)


def results(scores=None, rules=RULES, **changes):
    candidate = evidence(scores=scores or {"s/t": right(60, 100)}, **changes)
    return {gate.name: gate for gate in check_evaluation(candidate, rules)}


@pytest.mark.parametrize(("num_items", "passed"), [(100, True), (99, False)])
def test_enough_items_has_a_minimum(num_items, passed):
    gate = results({"s/t": right(50, num_items)})["enough_items"]
    assert (gate.passed, gate.value, gate.limit) == (passed, num_items, 100)


def with_suite(**changes):
    """Return evidence whose only suite has the changes."""

    value = evidence()
    suite = value.evaluation.suites[0].model_copy(update=changes)
    object.__setattr__(value.result.evaluation, "suites", (suite,))
    return value


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"missing": ("law", "physics")}, "s lacks law, physics"),
        ({"partial": True, "partial_reason": "limit"}, "s is partial (limit)"),
        ({"partial": True}, "s is partial"),
    ],
)
def test_incomplete_suite_fails_unless_the_policy_allows_it(changes, detail):
    gate = check_evaluation(with_suite(**changes), RULES)[1]
    assert (gate.name, gate.passed, gate.value) == ("suites_complete", False, 1)
    assert gate.detail == detail
    lenient = EvaluationRules(allow_partial=True)
    assert check_evaluation(with_suite(**changes), lenient)[1].passed


def test_partial_evaluation_fails_unless_the_policy_allows_it():
    assert not results(evaluation={"partial": True})["suites_complete"].passed
    lenient = EvaluationRules(min_items=1, allow_partial=True)
    gate = results(rules=lenient, evaluation={"partial": True})["suites_complete"]
    assert gate.passed
    assert gate.detail == "s: partial (accepted by evaluation.allow_partial)"


def test_required_suites_must_be_evaluated():
    for names, passed in ((("s",), True), (("s", "mmlu"), False)):
        gate = results(rules=EvaluationRules(required_suites=names))["suites_complete"]
        assert gate.passed is passed
    assert gate.detail == "mmlu was not evaluated"
    lenient = EvaluationRules(required_suites=("mmlu",), allow_partial=True)
    assert not results(rules=lenient)["suites_complete"].passed


def compare(own, other, rules=RULES):
    candidate, champion = evidence(2, **own), evidence(1, **other)
    gates = (
        check_items("same_items", candidate, champion),
        check_precision(candidate, champion, rules),
    )
    return {gate.name: gate for gate in gates}


def test_same_items_compares_files_scoring_versions_settings_and_tasks():
    gate = compare({}, {})["same_items"]
    assert (gate.passed, gate.detail) == (True, "same items as version 1, in 1 tasks")
    for change in ({"file_sha256": "c" * 64}, {"version": 9}, {"num_fewshot": 5}):
        gate = compare({}, {"tasks": change})["same_items"]
        assert not gate.passed
        assert f"not evaluated alike: s/t: {next(iter(change))} is" in gate.detail
    gate = compare({"scores": {"s/t": [1.0], "u/v": [1.0]}}, {"scores": {"s/t": [1.0]}})
    assert "u/v: only in version 2" in gate["same_items"].detail


@pytest.mark.parametrize(
    ("numerics", "limit", "passed", "value"),
    [
        ({}, 0.0, True, 0.0),
        ({"device": "cuda"}, 1e-6, True, 2.0**-24),
        ({"device": "cuda"}, 2.0**-24, True, 2.0**-24),
        ({"device": "cuda"}, 5e-8, False, 2.0**-24),
        ({"precision": "bfloat16"}, 1e-6, False, 2.0**-8),
        ({"precision": "int4"}, 1.0, False, float("inf")),
    ],
)
def test_same_precision_limits_the_rounding_error(numerics, limit, passed, value):
    rules = EvaluationRules(max_rounding_error=limit)
    gate = compare({"evaluation": numerics}, {}, rules)["same_precision"]
    assert (gate.passed, gate.value, gate.limit) == (passed, value, limit)
