"""Stored verdicts of the gates: why a version was promoted, refused or left alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from registry.gates.result import GateResult
from registry.tables import GateVerdictRow, ModelRow, VersionRow, as_utc


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gates' results about a version, with what decided them."""

    outcome: str
    """`promoted`, `unchanged` or `refused`."""
    champion: int | None
    """The champion that the version was compared with; None without one."""
    policy_sha256: str
    """Digest of the rules; empty in a registry of release 0.1.0."""
    alpha_spent: float
    gates: tuple[GateResult, ...]
    actor: str
    at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "outcome": self.outcome,
            "champion": self.champion,
            "policy_sha256": self.policy_sha256,
            "alpha_spent": self.alpha_spent,
            "gates": [gate.to_dict() for gate in self.gates],
            "actor": self.actor,
            "at": self.at.isoformat(),
        }


def read_verdicts(session: Session, version: VersionRow) -> list[Verdict]:
    """Return the verdicts about a version, oldest first."""
    query = _select_verdicts().where(GateVerdictRow.version_id == version.id)
    return [_from_row(row, champion) for row, champion in session.execute(query)]


def read_last_verdicts(
    session: Session, model_name: str, numbers: Collection[int]
) -> dict[int, Verdict]:
    """Return the last verdict about each of some versions of a model.

    Args:
        session: an open session.
        model_name: the registered model.
        numbers: the versions; those without a verdict are not in the result.
    """
    version = aliased(VersionRow)
    newest = (
        select(func.max(GateVerdictRow.id))
        .join(version, version.id == GateVerdictRow.version_id)
        .join(ModelRow, ModelRow.id == version.model_id)
        .where(ModelRow.name == model_name, version.number.in_(numbers))
        .group_by(GateVerdictRow.version_id)
    )
    judged = aliased(VersionRow)
    query = (
        _select_verdicts()
        .add_columns(judged.number)
        .join(judged, judged.id == GateVerdictRow.version_id)
        .where(GateVerdictRow.id.in_(newest))
    )
    return {number: _from_row(row, champion) for row, champion, number in session.execute(query)}


def _select_verdicts() -> Select[GateVerdictRow, int]:
    """Select verdicts, oldest first, each with the number of the champion."""
    champion = aliased(VersionRow)
    return (
        select(GateVerdictRow, champion.number)
        .outerjoin(champion, champion.id == GateVerdictRow.champion_id)
        .order_by(GateVerdictRow.id)
    )


def _from_row(row: GateVerdictRow, champion: int | None) -> Verdict:
    return Verdict(
        outcome=row.outcome,
        champion=champion,
        policy_sha256=row.policy_sha256,
        alpha_spent=row.alpha_spent,
        gates=tuple(GateResult(**gate) for gate in row.gates),
        actor=row.actor,
        at=as_utc(row.at),
    )
