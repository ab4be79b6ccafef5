"""The history of a registry: every change, with its actor, reason and evidence, in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from registry.tables import EventRow, ModelRow, RunRow, VersionRow, as_utc


class EventKind(StrEnum):
    """Kinds of changes."""

    REGISTERED = "registered"
    EVALUATED = "evaluated"
    TIMED = "timed"
    """Its evaluation time per item was measured again."""
    PROMOTED = "promoted"
    """It became champion; details: `previous`, the number of the champion before, and `gates`."""
    DEMOTED = "demoted"
    """Another version became champion in its place."""
    REFUSED = "refused"
    """A promotion was refused; details: `gates`."""
    APPROVAL_REQUESTED = "approval requested"
    """A promotion waits for a person; details: `approval`, its number, and `expires_at`."""
    APPROVED = "approved"
    DECLINED = "declined"
    APPROVAL_EXPIRED = "approval expired"
    ROLLED_BACK = "rolled back"
    """A person made an earlier champion champion again; details: `from`, the number before."""
    REJECTED = "rejected"
    REINSTATED = "reinstated"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    ALIAS_SET = "alias set"
    ALIAS_REMOVED = "alias removed"
    TAGGED = "tagged"
    UNTAGGED = "untagged"
    DESCRIBED = "described"
    NOTED = "noted"
    FILES_REMOVED = "files removed"
    """Retention removed its weights and tokenizer; details: `num_bytes`."""
    VERIFIED = "verified"
    """Files and records of the model were verified; details: `num_versions`, `num_faults`."""


DECISIONS = (
    EventKind.PROMOTED,
    EventKind.DEMOTED,
    EventKind.REFUSED,
    EventKind.APPROVAL_REQUESTED,
    EventKind.APPROVED,
    EventKind.DECLINED,
    EventKind.APPROVAL_EXPIRED,
    EventKind.ROLLED_BACK,
    EventKind.REJECTED,
    EventKind.REINSTATED,
    EventKind.PINNED,
    EventKind.UNPINNED,
)
"""Kinds of changes that decide what is champion, or may become it."""


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One change."""

    sequence: int
    """Order of the changes; the clocks of several machines differ."""
    model: str
    version: int | None
    """None for a change of the model."""
    name: str
    """Name of the run in params.yaml; empty for a change of the model."""
    kind: EventKind
    at: datetime
    actor: str
    reason: str
    details: Mapping[str, Any]

    @classmethod
    def from_row(cls, row: EventRow) -> HistoryEntry:
        """Read an entry from its row."""
        return cls(
            sequence=row.id,
            model=row.model.name,
            version=row.version.number if row.version else None,
            name=row.version.run.name if row.version else "",
            kind=EventKind(row.kind),
            at=as_utc(row.at),
            actor=row.actor,
            reason=row.reason,
            details=row.details,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "sequence": self.sequence,
            "model": self.model,
            "version": self.version,
            "name": self.name,
            "kind": self.kind.value,
            "at": self.at.isoformat(),
            "actor": self.actor,
            "reason": self.reason,
            "details": dict(self.details),
        }


def add_event(
    session: Session,
    version: VersionRow,
    kind: EventKind,
    *,
    actor: str,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> EventRow:
    """Record a change of a version.

    Args:
        session: the open transaction.
        version: the version that changes.
        kind: what happens to it.
        actor: person or program that makes the change.
        reason: why.
        details: related numbers and evidence, as JSON values.
    """
    event = EventRow(
        model_id=version.model_id,
        version=version,
        kind=kind,
        actor=actor,
        reason=reason,
        details=dict(details or {}),
    )
    session.add(event)
    session.flush()
    return event


def read_history(
    session: Session,
    model_name: str | None,
    limit: int | None = None,
    *,
    since: datetime | None = None,
    kinds: Collection[EventKind] = (),
) -> list[HistoryEntry]:
    """Return the changes of a model, or of all models if it is None, in order.

    Args:
        session: an open session.
        model_name: the registered model; None: all.
        limit: return the last changes only; None: every change.
        since: time of the oldest change; None: from the start.
        kinds: the kinds of changes to return; empty: all.
    """
    query = (
        select(EventRow)
        .join(ModelRow, EventRow.model_id == ModelRow.id)
        .order_by(EventRow.id.desc())
        .limit(limit)
        .options(
            joinedload(EventRow.model),
            joinedload(EventRow.version).joinedload(VersionRow.run).load_only(RunRow.name),
        )
    )
    if model_name is not None:
        query = query.where(ModelRow.name == model_name)
    if since is not None:
        query = query.where(EventRow.at >= since)
    if kinds:
        query = query.where(EventRow.kind.in_(kinds))
    return [HistoryEntry.from_row(row) for row in session.scalars(query)][::-1]
