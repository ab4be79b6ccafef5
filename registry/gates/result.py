"""Results of the promotion gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from registry.gates.names import (
    BETTER,
    NOT_OVERRIDABLE,
    SAME_ITEMS,
    SAME_ITEMS_AS_PROMOTED,
)


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """Result of one gate."""

    name: str
    passed: bool
    detail: str
    """The values that decide the result, in words."""
    value: float | None = None
    """The number that the gate limits; None if it has none, or it is not recorded."""
    limit: float | None = None
    """The policy's number that the value is compared with; None without a limit."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, in which a number is finite."""
        numbers = {key: getattr(self, key) for key in ("value", "limit")}
        finite = {k: v if v is None or math.isfinite(v) else None for k, v in numbers.items()}
        return {**asdict(self), **finite}


class GateOutcome(StrEnum):
    """What the gates decide about a version."""

    PROMOTED = "promoted"
    """Every gate passes."""
    UNCHANGED = "unchanged"
    """Every requirement is met, but the version is not shown to be better than the champion, or
    cheaper and not worse; or it is the champion already."""
    REFUSED = "refused"
    """A requirement is not met."""
    NEEDS_EVALUATION = "needs evaluation"
    """The versions were evaluated on different items, and every other requirement is met."""


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """The results of all gates, and what they decide."""

    outcome: GateOutcome
    results: tuple[GateResult, ...]
    alpha_spent: float = 0.0
    """Error probability that the paired comparison spent."""
    other_items: tuple[int, ...] = ()
    """Versions that were evaluated on other items than the candidate."""

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that do not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def reason(self) -> str:
        """The failed gates with their values, in one line; empty if all pass."""
        return "; ".join(f"{result.name}: {result.detail}" for result in self.failed)

    @property
    def can_override(self) -> bool:
        """Whether a person may promote the version with a reason although gates fail."""
        return not any(result.name in NOT_OVERRIDABLE for result in self.failed)


def decide(results: Sequence[GateResult]) -> GateOutcome:
    """Return the outcome of all gates: a requirement that is not met counts first."""
    failed = {result.name for result in results if not result.passed}
    if failed - {SAME_ITEMS, SAME_ITEMS_AS_PROMOTED, BETTER}:
        return GateOutcome.REFUSED
    if failed & {SAME_ITEMS, SAME_ITEMS_AS_PROMOTED}:
        return GateOutcome.NEEDS_EVALUATION
    return GateOutcome.UNCHANGED if failed else GateOutcome.PROMOTED
