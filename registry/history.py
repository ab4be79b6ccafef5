"""The history of a registry: every change of stage, with its reason and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.gates import GateResult
from registry.tables import TransitionRow, VersionRow, VersionStage

MAX_REASON = 2000
"""Length of the reason's column."""


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One change of stage."""

    model: str
    version: int
    name: str
    """Name of the run in params.yaml."""
    from_stage: VersionStage | None
    """None when the version was registered."""
    to_stage: VersionStage
    at: datetime
    actor: str
    reason: str
    evidence: tuple[GateResult, ...]

    @classmethod
    def from_row(cls, row: TransitionRow) -> HistoryEntry:
        """Read an entry from its row."""
        return cls(
            model=row.version.model.name,
            version=row.version.number,
            name=row.version.name,
            from_stage=VersionStage(row.from_stage) if row.from_stage else None,
            to_stage=VersionStage(row.to_stage),
            at=row.at,
            actor=row.actor,
            reason=row.reason,
            evidence=tuple(GateResult(**gate) for gate in row.evidence),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "model": self.model,
            "version": self.version,
            "name": self.name,
            "from_stage": self.from_stage and self.from_stage.value,
            "to_stage": self.to_stage.value,
            "at": self.at.isoformat(),
            "actor": self.actor,
            "reason": self.reason,
            "evidence": [gate.to_dict() for gate in self.evidence],
        }


def new_transition(
    version: VersionRow,
    to_stage: VersionStage,
    *,
    from_stage: str | None,
    actor: str,
    reason: str,
    evidence: Sequence[GateResult] = (),
) -> TransitionRow:
    """Create the row that records a change of stage.

    Args:
        version: the version whose stage changes.
        to_stage: the new stage.
        from_stage: the previous stage; None when the version is registered.
        actor: user or program that made the change.
        reason: why it was made; truncated to MAX_REASON characters.
        evidence: results of the promotion gates.
    """
    return TransitionRow(
        version=version,
        from_stage=from_stage,
        to_stage=to_stage,
        actor=actor,
        reason=reason[:MAX_REASON],
        evidence=[gate.to_dict() for gate in evidence],
    )
