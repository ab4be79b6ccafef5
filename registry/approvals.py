"""Approval of promotions: a request for a version, and the decision of a person.

Requests and decisions are immutable rows, and each is an event of the version. A request without a
decision is open until it expires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from registry.errors import ApprovalRefused
from registry.history import EventKind, add_event
from registry.interventions import MAX_TEXT, limit_text
from registry.lookup import find_champion, find_version, lock_model
from registry.session import reading, transaction
from registry.tables import (
    ApprovalDecisionRow,
    ApprovalRow,
    ModelRow,
    VersionRow,
    VersionState,
    as_utc,
    utc_now,
)

MAX_DURATION = timedelta(days=365)


class ApprovalState(StrEnum):
    """State of a request."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"


_EVENTS = {
    ApprovalState.APPROVED: EventKind.APPROVED,
    ApprovalState.DECLINED: EventKind.DECLINED,
    ApprovalState.EXPIRED: EventKind.APPROVAL_EXPIRED,
}


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A request for approval and its decision."""

    number: int
    model: str
    version: int
    champion: int | None
    """The champion when it was requested."""
    state: ApprovalState
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    flow_run: str
    """The Prefect flow run that waits; empty without one."""
    decided_by: str
    decided_at: datetime | None
    reason: str

    @property
    def is_open(self) -> bool:
        """Whether a person can decide about it."""
        return self.state == ApprovalState.REQUESTED and utc_now() < self.expires_at

    @classmethod
    def from_row(cls, row: ApprovalRow) -> Approval:
        """Read an approval from its rows."""
        decision = row.decision
        return cls(
            number=row.id,
            model=row.version.model.name,
            version=row.version.number,
            champion=row.champion.number if row.champion else None,
            state=ApprovalState(decision.outcome) if decision else ApprovalState.REQUESTED,
            requested_by=row.requested_by,
            requested_at=as_utc(row.requested_at),
            expires_at=as_utc(row.expires_at),
            flow_run=row.flow_run,
            decided_by=decision.actor if decision else "",
            decided_at=as_utc(decision.at) if decision else None,
            reason=decision.reason if decision else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the approval as JSON values."""
        return {
            "number": self.number,
            "model": self.model,
            "version": self.version,
            "champion": self.champion,
            "state": self.state.value,
            "requested_by": self.requested_by,
            "requested_at": self.requested_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "flow_run": self.flow_run,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at and self.decided_at.isoformat(),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Approvals:
    """The requests of a registry. Every method is one transaction."""

    engine: Engine
    require_person: Callable[[str, str, str], None]
    """Checks that a person may decide about a model: (model, actor, action); see
    `permissions.require_person`."""

    def request(
        self, model: str, number: int, *, actor: str, valid_for: timedelta, flow_run: str = ""
    ) -> Approval:
        """Request approval of a promotion; see `request_approval`."""
        with transaction(self.engine) as session:
            return request_approval(
                session, model, number, actor=actor, valid_for=valid_for, flow_run=flow_run
            )

    def decide(
        self, model: str, number: int, *, approve: bool, actor: str, reason: str
    ) -> Approval:
        """Approve or decline a promotion; see `decide_approval`.

        Raises:
            NotPermitted: the policy does not list the person.
        """
        self.require_person(model, actor, "approve" if approve else "decline")
        with transaction(self.engine) as session:
            return decide_approval(
                session, model, number, approve=approve, actor=actor, reason=reason
            )

    def expire(self, *, actor: str) -> list[Approval]:
        """Close the requests whose time is over, and return them."""
        with transaction(self.engine) as session:
            return expire_approvals(session, actor=actor)

    def list(self, model: str | None = None) -> Sequence[Approval]:
        """Return the requests of a model, or of all models, oldest first."""
        with reading(self.engine) as session:
            return list_approvals(session, model)


def request_approval(
    session: Session,
    model_name: str,
    number: int,
    *,
    actor: str,
    valid_for: timedelta,
    flow_run: str = "",
) -> Approval:
    """Request approval of a version's promotion; the same flow run requests it once.

    Args:
        session: the open transaction.
        model_name: the registered model.
        number: the version.
        actor: person or program.
        valid_for: time until the request expires.
        flow_run: the Prefect flow run that waits for the decision.

    Returns:
        The new request, the open one of the version, or the one of this flow run.

    Raises:
        ApprovalRefused: the version is champion or rejected, or the duration is out of bounds.
        UnknownVersion: the model or version does not exist.
    """
    model = lock_model(session, model_name)
    version = find_version(session, model, number)
    existing = [
        row
        for row in _of_version(session, version)
        if _is_open(row) or (flow_run and row.flow_run == flow_run)
    ]
    if existing:
        return Approval.from_row(existing[-1])
    if not timedelta(0) < valid_for <= MAX_DURATION:
        raise ApprovalRefused(
            f"approval of version {number}: a duration of {valid_for} is out of bounds; expected "
            f"more than 0 and at most {MAX_DURATION.days} days"
        )
    champion = find_champion(session, model_name)
    if champion is not None and champion.id == version.id:
        raise ApprovalRefused(f"version {number} of {model_name!r} is champion already")
    if version.status.state == VersionState.REJECTED:
        raise ApprovalRefused(
            f"version {number} of {model_name!r} is rejected; `flanmoe registry reinstate {number} "
            "--reason …` undoes it"
        )
    row = ApprovalRow(
        version=version,
        champion=champion,
        requested_by=actor,
        flow_run=flow_run,
        expires_at=utc_now() + valid_for,
    )
    session.add(row)
    session.flush()
    add_event(
        session,
        version,
        EventKind.APPROVAL_REQUESTED,
        actor=actor,
        details={"approval": row.id, "expires_at": as_utc(row.expires_at).isoformat()},
    )
    return Approval.from_row(row)


def decide_approval(
    session: Session,
    model_name: str,
    number: int,
    *,
    approve: bool,
    actor: str,
    reason: str,
) -> Approval:
    """Approve or decline the open request of a version.

    Args:
        session: the open transaction.
        model_name: the registered model.
        number: the version.
        approve: whether to approve.
        actor: the person.
        reason: why; required.

    Raises:
        ApprovalRefused: the version has no open request, or there is no reason.
        InterventionRefused: the reason has characters that cannot be stored.
        UnknownVersion: the model or version does not exist.
    """
    model = lock_model(session, model_name)
    version = find_version(session, model, number)
    rows = _of_version(session, version)
    if not rows or not _is_open(rows[-1]):
        raise ApprovalRefused(
            f"version {number} of {model_name!r} has no open request for approval"
            + (f": the last one is {_state(rows[-1])}" if rows else "")
            + "; `flanmoe registry approvals` lists all requests"
        )
    reason = reason.strip()
    if not actor.strip() or not reason or len(reason) > MAX_TEXT:
        raise ApprovalRefused(
            f"version {number} of {model_name!r}: a decision needs a person and a reason of at "
            f"most {MAX_TEXT:,} characters; say who decides, and why"
        )
    reason = limit_text(reason, "the reason")
    outcome = ApprovalState.APPROVED if approve else ApprovalState.DECLINED
    return _decide(session, rows[-1], outcome, actor=actor.strip(), reason=reason)


def expire_approvals(session: Session, *, actor: str) -> list[Approval]:
    """Close the requests whose time is over, and return them."""
    undecided = session.scalars(
        select(ApprovalRow).where(~ApprovalRow.decision.has()).order_by(ApprovalRow.id)
    )
    expired = []
    for row in undecided.all():
        lock_model(session, row.version.model.name)
        session.refresh(row)
        if row.decision is None and not _is_open(row):
            expired.append(
                _decide(session, row, ApprovalState.EXPIRED, actor=actor, reason="not decided")
            )
    return expired


def list_approvals(session: Session, model_name: str | None = None) -> list[Approval]:
    """Return all requests of a model, or of all models, oldest first."""
    query = (
        select(ApprovalRow)
        .join(VersionRow, VersionRow.id == ApprovalRow.version_id)
        .options(
            joinedload(ApprovalRow.version).joinedload(VersionRow.model),
            joinedload(ApprovalRow.champion),
            joinedload(ApprovalRow.decision),
        )
    )
    if model_name is not None:
        query = query.join(ModelRow).where(ModelRow.name == model_name)
    return [Approval.from_row(row) for row in session.scalars(query.order_by(ApprovalRow.id))]


def _decide(
    session: Session, row: ApprovalRow, outcome: ApprovalState, *, actor: str, reason: str
) -> Approval:
    row.decision = ApprovalDecisionRow(outcome=outcome, actor=actor, reason=reason)
    session.flush()
    details = {"approval": row.id}
    add_event(session, row.version, _EVENTS[outcome], actor=actor, reason=reason, details=details)
    return Approval.from_row(row)


def _of_version(session: Session, version: VersionRow) -> Sequence[ApprovalRow]:
    query = select(ApprovalRow).where(ApprovalRow.version_id == version.id)
    return session.scalars(query.order_by(ApprovalRow.id)).all()


def _is_open(row: ApprovalRow) -> bool:
    return row.decision is None and utc_now() < as_utc(row.expires_at)


def _state(row: ApprovalRow) -> str:
    return row.decision.outcome if row.decision else ApprovalState.EXPIRED
