"""Tables of the page Promotion: candidates and gates, reigns of champions, verifications."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from dashboard import text
from dashboard.frames import label
from registry.approvals import Approval
from registry.gates.names import CONDITIONS
from registry.gates.result import GateResult
from registry.history import EventKind, HistoryEntry
from registry.verdicts import Verdict
from registry.version_summary import VersionSummary

PASSES, FAILS, NO_RESULT = "passes", "fails", "no result"
_SIGNS = {PASSES: "✓", FAILS: "✗", NO_RESULT: "–"}


def candidate_label(version: VersionSummary) -> str:
    """Return a candidate as the chart and the table name it."""
    return label(version.name, version.version, is_champion=version.is_champion)


def gate_cells(versions: Sequence[VersionSummary], verdicts: Mapping[int, Verdict]) -> pd.DataFrame:
    """Return a row for each candidate and each gate.

    Args:
        versions: the candidates.
        verdicts: the last verdict about each candidate, by its number.
    """
    results = {number: _results(verdict) for number, verdict in verdicts.items()}
    present = {name for gates in results.values() for name in gates}
    names = [name for name in CONDITIONS if name in present]
    names += sorted(present - set(names))
    return pd.DataFrame(
        [
            {
                "candidate": candidate_label(version),
                "gate": text.name(name),
                "result": _result(results.get(version.version, {}).get(name)),
                "sign": _SIGNS[_result(results.get(version.version, {}).get(name))],
                "value": _describe(results.get(version.version, {}).get(name)),
            }
            for version in versions
            for name in names
        ]
    )


def candidates_table(
    versions: Sequence[VersionSummary],
    verdicts: Mapping[int, Verdict],
    *,
    champion: int | None,
    policy_sha256: str,
) -> pd.DataFrame:
    """Return a row for each candidate with every gate in a column.

    Args:
        versions: the candidates.
        verdicts: the last verdict about each candidate, by its number.
        champion: number of the present champion; None without one.
        policy_sha256: digest of the present rules.
    """
    cells = gate_cells(versions, verdicts)
    values: dict[str, dict[str, str]] = {}
    for row in cells.to_dict("records"):
        values.setdefault(str(row["candidate"]), {})[str(row["gate"])] = str(row["value"])
    rows = []
    for version in versions:
        verdict = verdicts.get(version.version)
        rows.append(
            {
                "candidate": candidate_label(version),
                "state": version.standing + (", pinned" if version.is_pinned else ""),
                "outcome": verdict.outcome if verdict else "not asked",
                "basis": _describe_basis(version, verdict, champion, policy_sha256),
                **values.get(candidate_label(version), {}),
            }
        )
    return pd.DataFrame(rows)


def _results(verdict: Verdict) -> dict[str, GateResult]:
    return {gate.name: gate for gate in verdict.gates}


def _result(gate: GateResult | None) -> str:
    if gate is None:
        return NO_RESULT
    return PASSES if gate.passed else FAILS


def _describe(gate: GateResult | None) -> str:
    """Return the sign of a result with the number and its limit."""
    if gate is None:
        return _SIGNS[NO_RESULT]
    numbers = [_format(number) for number in (gate.value, gate.limit) if number is not None]
    return f"{_SIGNS[_result(gate)]} {' / '.join(numbers)}".strip()


def _format(number: float) -> str:
    return f"{number:.4g}" if math.isfinite(number) else "not finite"


def _describe_basis(
    version: VersionSummary, verdict: Verdict | None, champion: int | None, policy_sha256: str
) -> str:
    """Say when and against what a verdict was reached, and whether it would be asked again."""
    if verdict is None:
        return ""
    opponent = "no champion" if verdict.champion is None else f"v{verdict.champion}"
    changed = []
    if verdict.champion != champion and version.version != champion:
        changed.append("the champion is another now")
    if verdict.policy_sha256 != policy_sha256:
        changed.append("the policy is another now")
    basis = f"{verdict.at:%Y-%m-%d %H:%M}, against {opponent}"
    return f"{basis}; out of date: {' and '.join(changed)}" if changed else basis


def requests_table(requests: Sequence[Approval]) -> pd.DataFrame:
    """Return a row for each request for approval, newest first."""
    return pd.DataFrame(
        [
            {
                "version": request.version,
                "state": "open" if request.is_open else request.state.value,
                "requested (UTC)": f"{request.requested_at:%Y-%m-%d %H:%M}",
                "expires (UTC)": f"{request.expires_at:%Y-%m-%d %H:%M}",
                "decided by": text.shorten(request.decided_by, text.MAX_NAME),
                "decided (UTC)": ""
                if request.decided_at is None
                else f"{request.decided_at:%Y-%m-%d %H:%M}",
                "reason": text.shorten(request.reason, 500),
            }
            for request in reversed(requests)
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Reign:
    """A time during which a version was champion."""

    version: int
    name: str
    start: datetime
    actor: str
    reason: str
    end: datetime | None
    """None for the present champion."""


def find_reigns(entries: Iterable[HistoryEntry]) -> list[Reign]:
    """Return the champions of a model, the newest first.

    Args:
        entries: the decisions about the model, oldest first.
    """
    reigns: list[Reign] = []
    current: HistoryEntry | None = None
    for entry in entries:
        is_new = entry.kind in (EventKind.PROMOTED, EventKind.ROLLED_BACK)
        is_end = (
            current is not None
            and entry.kind is EventKind.REJECTED
            and entry.version == current.version
        )
        if not is_new and not is_end:
            continue
        if current is not None:
            reigns.append(_reign(current, entry.at))
        current = entry if is_new else None
    if current is not None:
        reigns.append(_reign(current, None))
    return reigns[::-1]


def _reign(entry: HistoryEntry, end: datetime | None) -> Reign:
    assert entry.version is not None  # of every promotion
    return Reign(
        version=entry.version,
        name=entry.name,
        start=entry.at,
        actor=entry.actor,
        reason=entry.reason,
        end=end,
    )


def reigns_table(reigns: Iterable[Reign]) -> pd.DataFrame:
    """Return a row for each champion."""
    return pd.DataFrame(
        [
            {
                "champion": label(reign.name, reign.version, is_champion=reign.end is None),
                "from (UTC)": f"{reign.start:%Y-%m-%d %H:%M}",
                "until (UTC)": "now" if reign.end is None else f"{reign.end:%Y-%m-%d %H:%M}",
                "by": text.shorten(reign.actor, text.MAX_NAME),
                "reason": text.shorten(reign.reason, 500),
            }
            for reign in reigns
        ]
    )


def describe_verifications(entries: Sequence[HistoryEntry]) -> str:
    """Say when files and records were last verified without a fault.

    Args:
        entries: the verifications of a model, oldest first.
    """
    command = "`flanmoe registry verify` checks every file and record"
    if not entries:
        return f"The files and records were never verified; {command}."
    last = entries[-1]
    clean = next((e for e in reversed(entries) if e.details.get("num_faults") == 0), None)
    when = f"{last.at:%Y-%m-%d %H:%M} UTC by {text.escape(last.actor)}"
    if clean is last:
        return f"`registry verify` last held on {when}: {text.escape(last.reason)}."
    earlier = "it never held before" if clean is None else f"it last held on {clean.at:%Y-%m-%d}"
    return (
        f"`registry verify` does not hold: {text.escape(last.reason)} on {when}; {earlier}. The "
        "command names each fault."
    )
