"""Recording of promotion decisions: verdict, event and change of champion in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.gates.result import GateOutcome, GateReport, GateResult
from registry.history import EventKind, add_event
from registry.lookup import set_alias
from registry.promotion_case import PromotionCase
from registry.tables import (
    CHAMPION,
    EventRow,
    GateVerdictRow,
    VersionRow,
    VersionState,
)


@dataclass(frozen=True, kw_only=True)
class PromotionReport:
    """What happened to a request to promote a version, or would happen."""

    version: int
    outcome: GateOutcome
    reason: str
    gates: tuple[GateResult, ...]
    """Empty if a person's earlier decision forbids the promotion."""
    other_items: tuple[int, ...] = ()
    """Versions that were evaluated on other items, if that is why there is no decision."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "version": self.version,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "gates": [gate.to_dict() for gate in self.gates],
            "other_items": list(self.other_items),
        }

    @property
    def is_promoted(self) -> bool:
        """Whether the version became champion."""
        return self.outcome == GateOutcome.PROMOTED


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Outcome of `Registry.promote_best`."""

    champion_version: int | None
    """The champion after the decision; None without one."""
    changed: bool
    outcome: GateOutcome
    """`refused` if every considered version was refused, or the actor may not promote."""
    reason: str
    reports: tuple[PromotionReport, ...]
    """One for each version that was considered."""

    @property
    def other_items(self) -> tuple[int, ...]:
        """Versions that must be evaluated before the rest can be decided."""
        numbers = (number for report in self.reports for number in report.other_items)
        return tuple(dict.fromkeys(numbers))


def find_obstacle(candidate: VersionRow, champion: VersionRow | None) -> str:
    """Describe the decision of a person that forbids this change; empty without one."""
    if candidate.status.state == VersionState.REJECTED:
        return (
            f"a person rejected version {candidate.number}: `flanmoe registry history` says why, "
            f"`flanmoe registry reinstate {candidate.number} --reason …` undoes it"
        )
    if champion is not None and champion.id != candidate.id and champion.status.is_pinned:
        return (
            f"champion version {champion.number} is pinned; `flanmoe registry unpin "
            f"{champion.number}` undoes it"
        )
    return ""


def preview(case: PromotionCase, report: GateReport, override: str) -> PromotionReport:
    """Return what a decision would be; nothing is recorded.

    Args:
        case: the candidate and the versions it was compared with.
        report: the gates' results.
        override: reason of a person to promote although gates fail; empty: none.
    """
    number = case.candidate.info.version
    outcome, reason = report.outcome, report.reason
    other_items: tuple[int, ...] = ()
    if case.is_champion:
        outcome, reason = GateOutcome.UNCHANGED, "it is champion already"
    elif outcome == GateOutcome.PROMOTED:
        reason = "all gates passed"
    elif override and report.can_override:
        outcome, reason = GateOutcome.PROMOTED, f"override: {override}"
    elif outcome == GateOutcome.NEEDS_EVALUATION:
        other_items = report.other_items
    return PromotionReport(
        version=number,
        outcome=outcome,
        reason=reason,
        gates=report.results,
        other_items=other_items,
    )


def record(
    session: Session,
    case: PromotionCase,
    gates: GateReport,
    report: PromotionReport,
    *,
    actor: str,
    policy_sha256: str,
) -> None:
    """Record a decision, and change the champion if the version is promoted.

    Args:
        session: the open transaction, with the model locked and the case unchanged.
        case: the candidate and the versions it was compared with.
        gates: the gates' results.
        report: the decision.
        actor: person or program.
        policy_sha256: digest of the rules that decided.
    """
    if case.is_champion or report.outcome == GateOutcome.NEEDS_EVALUATION:
        return
    candidate = session.get_one(VersionRow, case.candidate.version_id)
    champion = None
    if case.champion is not None:
        champion = session.get_one(VersionRow, case.champion.version_id)
    verdict = GateVerdictRow(
        version_id=candidate.id,
        evaluation_id=case.candidate.evaluation_id,
        champion_id=case.champion and case.champion.version_id,
        champion_evaluation_id=case.champion and case.champion.evaluation_id,
        candidate_evaluations=case.candidate.tested_evaluations,
        champion_evaluations=case.champion.tested_evaluations if case.champion else [],
        policy_sha256=policy_sha256,
        outcome=report.outcome.value,
        alpha_spent=gates.alpha_spent,
        gates=[gate.to_dict() for gate in gates.results],
        actor=actor,
    )
    if not _repeats_the_last(session, verdict):
        session.add(verdict)
        session.flush()
    if report.is_promoted:
        _make_champion(
            session, candidate, champion, gates.results, actor=actor, reason=report.reason
        )
    elif report.outcome == GateOutcome.REFUSED:
        add_refusal(session, candidate, report.reason, gates.results, actor=actor)


def _repeats_the_last(session: Session, verdict: GateVerdictRow) -> bool:
    """Return whether a version's last verdict is the same: flows ask every night."""
    last = session.scalar(
        select(GateVerdictRow)
        .where(GateVerdictRow.version_id == verdict.version_id)
        .order_by(GateVerdictRow.id.desc())
        .limit(1)
    )
    names = (
        "candidate_evaluations",
        "champion_evaluations",
        "policy_sha256",
        "outcome",
        "gates",
    )
    return last is not None and all(getattr(last, name) == getattr(verdict, name) for name in names)


def add_refusal(
    session: Session,
    candidate: VersionRow,
    reason: str,
    gates: Sequence[GateResult],
    *,
    actor: str,
) -> None:
    """Record a refusal, unless it repeats the version's last event: flows ask every night."""
    last = session.scalar(
        select(EventRow)
        .where(EventRow.version_id == candidate.id)
        .order_by(EventRow.id.desc())
        .limit(1)
    )
    if last is None or (last.kind, last.actor, last.reason) != (EventKind.REFUSED, actor, reason):
        details = {"gates": [gate.to_dict() for gate in gates]}
        add_event(
            session, candidate, EventKind.REFUSED, actor=actor, reason=reason, details=details
        )


def _make_champion(
    session: Session,
    candidate: VersionRow,
    champion: VersionRow | None,
    gates: Sequence[GateResult],
    *,
    actor: str,
    reason: str,
) -> None:
    """Move the alias, and record the change of both versions."""
    if champion is not None:
        champion.status.state = VersionState.ARCHIVED
        add_event(
            session,
            champion,
            EventKind.DEMOTED,
            actor=actor,
            reason=f"replaced by version {candidate.number}",
        )
    candidate.status.state = VersionState.REGISTERED
    set_alias(session, candidate, CHAMPION)
    add_event(
        session,
        candidate,
        EventKind.PROMOTED,
        actor=actor,
        reason=reason,
        details={
            "previous": champion and champion.number,
            "gates": [gate.to_dict() for gate in gates],
        },
    )
