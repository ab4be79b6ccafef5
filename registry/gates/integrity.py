"""Gates of the evidence itself: intact artifact, consistent record, committed code."""

from __future__ import annotations

from registry.gates.evidence import Evidence
from registry.gates.names import ARTIFACT_INTACT, CHAMPION_READABLE, RECORD_CONSISTENT
from registry.gates.result import GateResult
from registry.policy import CodeRules

_NO_COMMIT = ("", "unknown")


def check_integrity(candidate: Evidence, rules: CodeRules) -> list[GateResult]:
    """Check that the files and records of a version can be trusted."""
    return [
        _count_faults(ARTIFACT_INTACT, candidate.artifact_faults, "every file has its checksum"),
        _count_faults(
            RECORD_CONSISTENT, candidate.record_faults, "every score follows from the samples"
        ),
        _check_commit(candidate, rules),
    ]


def check_compared(champion: Evidence) -> GateResult:
    """Check that the item scores of the champion can be read, to compare a version with it."""
    is_readable = bool(champion.result.item_scores)
    faults = "; ".join(champion.artifact_faults)
    return GateResult(
        name=CHAMPION_READABLE,
        passed=is_readable,
        detail=f"item scores of {champion.label}" if is_readable else faults,
    )


def _count_faults(name: str, faults: tuple[str, ...], passed_detail: str) -> GateResult:
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return GateResult(
        name=name,
        passed=not faults,
        detail=f"{faults[0]}{more}" if faults else passed_detail,
        value=len(faults),
        limit=0,
    )


def _check_commit(candidate: Evidence, rules: CodeRules) -> GateResult:
    commit, changes, _ = candidate.run.git_commit.partition("+changes")
    problem = ""
    if commit in _NO_COMMIT:
        problem = "the run record names no commit, as the code was in no git repository"
    elif changes:
        problem = f"the code had uncommitted changes on top of {commit[:12]}"
    if not problem:
        return GateResult(name="code_committed", passed=True, detail=f"commit {commit[:12]}")
    accepted = "; commit the code and train again"
    if not rules.require_commit:
        accepted = " (accepted by code.require_commit: false)"
    return GateResult(
        name="code_committed", passed=not rules.require_commit, detail=problem + accepted
    )
