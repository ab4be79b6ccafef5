"""Stored verdicts of the gates: why a version was promoted, refused or left alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.gates.result import GateResult
from registry.tables import GateVerdictRow, VersionRow


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
    rows = session.execute(
        select(GateVerdictRow, VersionRow.number)
        .outerjoin(VersionRow, VersionRow.id == GateVerdictRow.champion_id)
        .where(GateVerdictRow.version_id == version.id)
        .order_by(GateVerdictRow.id)
    )
    return [
        Verdict(
            outcome=row.outcome,
            champion=champion,
            policy_sha256=row.policy_sha256,
            alpha_spent=row.alpha_spent,
            gates=tuple(GateResult(**gate) for gate in row.gates),
            actor=row.actor,
            at=row.at,
        )
        for row, champion in rows
    ]
