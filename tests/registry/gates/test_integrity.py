"""Gates of artifact, record and code."""

import pytest

from registry.gates.integrity import check_integrity
from registry.policy import CodeRules
from tests.registry.gates.factories import COMMIT, evidence


def results(rules=None, **changes):
    return {gate.name: gate for gate in check_integrity(evidence(**changes), rules or CodeRules())}


def test_intact_evidence_passes():
    gates = results()
    assert all(gate.passed for gate in gates.values())
    assert gates["code_committed"].detail == f"commit {COMMIT[:12]}"


@pytest.mark.parametrize(
    ("field", "gate"),
    [("artifact_faults", "artifact_intact"), ("record_faults", "record_consistent")],
)
def test_faults_fail_and_the_first_is_named(field, gate):
    result = results(**{field: ("weights are truncated",)})[gate]
    assert (result.passed, result.value, result.limit) == (False, 1, 0)
    assert result.detail == "weights are truncated"
    result = results(**{field: ("a", "b", "c")})[gate]
    assert (result.value, result.detail) == (3, "a (and 2 more)")


@pytest.mark.parametrize(
    ("commit", "detail"),
    [
        (f"{COMMIT}+changes", "the code had uncommitted changes on top of 0123456789ab"),
        ("unknown", "the run record names no commit"),
        ("", "the run record names no commit"),
    ],
)
def test_uncommitted_code_fails_unless_the_policy_allows_it(commit, detail):
    gate = results(run={"git_commit": commit})["code_committed"]
    assert not gate.passed
    assert gate.detail.startswith(detail)
    gate = results(CodeRules(require_commit=False), run={"git_commit": commit})["code_committed"]
    assert gate.passed
    assert gate.detail.endswith("(accepted by code.require_commit: false)")
