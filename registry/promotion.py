"""Promotion to champion: gates and change of champion in one transaction, with the model locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import artifact_faults
from registry.gates import GateResult, check_gates
from registry.history import EventKind, add_event
from registry.lookup import find_champion, find_version, lock_model, set_alias
from registry.params import GateParams
from registry.tables import (
    CHAMPION,
    EventRow,
    GateVerdictRow,
    ModelRow,
    VersionRow,
    VersionState,
)
from registry.versions import VersionInfo

Outcome = Literal["promoted", "unchanged", "refused"]


@dataclass(frozen=True, kw_only=True)
class PromotionReport:
    """What happened to a request to promote a version."""

    version: int
    outcome: Outcome
    """`unchanged`: the version is champion already."""
    reason: str
    gates: tuple[GateResult, ...]
    """Empty if a person's earlier decision forbids the promotion."""


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Outcome of `promote_best`."""

    champion_version: int | None
    """The champion after the decision; None without one."""
    changed: bool
    reason: str
    reports: tuple[PromotionReport, ...]
    """One for each version that was considered."""


def promote_version(
    session: Session,
    model_name: str,
    number: int,
    params: GateParams,
    artifacts: ArtifactStore,
    *,
    actor: str,
    override: str = "",
) -> PromotionReport:
    """Make a version champion if it passes the gates, and archive the previous champion.

    Args:
        session: the open transaction.
        model_name: the registered model.
        number: the version to promote.
        params: the gates' thresholds.
        artifacts: the files of the versions.
        actor: person or program.
        override: reason to promote even if gates fail.

    Returns:
        The report; a refusal is recorded in the same transaction.

    Raises:
        UnknownVersion: the model or version does not exist.
    """
    model = lock_model(session, model_name)
    candidate = find_version(session, model, number)
    champion = find_champion(session, model_name)
    obstacle = _decision_of_a_person(candidate, champion)
    if obstacle:
        _add_refusal(session, candidate, obstacle, (), actor=actor)
        return PromotionReport(version=number, outcome="refused", reason=obstacle, gates=())
    info = VersionInfo.from_row(candidate)
    gates = tuple(
        check_gates(
            info,
            None if champion is None else VersionInfo.from_row(champion),
            params,
            artifact_faults(artifacts, info),
        )
    )
    failed = [gate for gate in gates if not gate.passed]
    override = override.strip()
    if failed and not override:
        reason = "; ".join(f"{gate.name}: {gate.detail}" for gate in failed)
        _record_verdict(session, candidate, champion, gates, outcome="refused", actor=actor)
        _add_refusal(session, candidate, reason, gates, actor=actor)
        return PromotionReport(version=number, outcome="refused", reason=reason, gates=gates)
    if champion is not None and champion.id == candidate.id:
        reason = f"version {number} is champion already"
        return PromotionReport(version=number, outcome="unchanged", reason=reason, gates=gates)
    reason = f"override: {override}" if failed else "all gates passed"
    _record_verdict(session, candidate, champion, gates, outcome="promoted", actor=actor)
    _make_champion(session, candidate, champion, gates, actor=actor, reason=reason)
    return PromotionReport(version=number, outcome="promoted", reason=reason, gates=gates)


def promote_best(
    session: Session,
    model_name: str,
    numbers: Sequence[int],
    params: GateParams,
    artifacts: ArtifactStore,
    *,
    actor: str,
) -> PromotionDecision:
    """Promote the best of these versions that passes the gates.

    A version that a person rejected or demoted is never promoted, and a pinned champion never
    replaced.

    Args:
        session: the open transaction.
        model_name: the registered model.
        numbers: the versions to choose from.
        params: the gates' thresholds.
        artifacts: the files of the versions.
        actor: the program.
    """
    model = lock_model(session, model_name)
    champion = find_champion(session, model_name)
    reports: list[PromotionReport] = []
    for version in _in_order(session, model, numbers):
        if champion is not None and version.id == champion.id:
            reason = f"version {version.number} stays champion"
            reports.append(
                PromotionReport(
                    version=version.number, outcome="unchanged", reason=reason, gates=()
                )
            )
            break
        report = promote_version(
            session, model_name, version.number, params, artifacts, actor=actor
        )
        reports.append(report)
        if report.outcome == "promoted":
            return PromotionDecision(
                champion_version=version.number,
                changed=True,
                reason=f"version {version.number} ({version.run.name}) is champion",
                reports=tuple(reports),
            )
    return PromotionDecision(
        champion_version=champion.number if champion is not None else None,
        changed=False,
        reason=_describe(reports, model_name),
        reports=tuple(reports),
    )


def _describe(reports: Sequence[PromotionReport], model_name: str) -> str:
    if not reports:
        return "no version to promote"
    first = reports[0]
    if first.outcome == "unchanged":
        return first.reason
    return f"version {first.version} of {model_name!r} is not promoted: {first.reason}"


def _in_order(session: Session, model: ModelRow, numbers: Sequence[int]) -> list[VersionRow]:
    versions = [find_version(session, model, number) for number in numbers]
    return sorted(versions, key=lambda v: (-v.evaluation.accuracy, v.run.flops_per_token, v.number))


def _decision_of_a_person(candidate: VersionRow, champion: VersionRow | None) -> str:
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


def _add_refusal(
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


def _record_verdict(
    session: Session,
    candidate: VersionRow,
    champion: VersionRow | None,
    gates: Sequence[GateResult],
    *,
    outcome: Outcome,
    actor: str,
) -> None:
    """Store the gates' results with the evaluations that they were decided from."""
    session.add(
        GateVerdictRow(
            version_id=candidate.id,
            evaluation_id=candidate.evaluation.id,
            champion_id=champion and champion.id,
            champion_evaluation_id=champion and champion.evaluation.id,
            policy_sha256="",
            outcome=outcome,
            alpha_spent=0.0,
            gates=[gate.to_dict() for gate in gates],
            actor=actor,
        )
    )
    session.flush()


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
