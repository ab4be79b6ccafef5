"""What a lead decides from: sparse and dense pairs, champion and challengers, changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from registry.comparison.frontier import Frontier, FrontierPoint
from registry.comparison.pair_verdicts import PairVerdict, judge_pair
from registry.history import HistoryEntry
from registry.policy import Policy
from registry.verdicts import Verdict

RECENT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class JudgedVersion:
    """A version of the frontier with the last verdict of the gates about it."""

    point: FrontierPoint
    verdict: Verdict | None
    """None if the gates were never asked."""

    @property
    def failed_gates(self) -> list[str]:
        """Names of the gates that the version does not pass."""
        return [gate.name for gate in self.verdict.gates if not gate.passed] if self.verdict else []

    def to_dict(self) -> dict[str, Any]:
        """Return the version as JSON values."""
        return {
            "version": self.point.version,
            "name": self.point.name,
            "is_champion": self.point.is_champion,
            "is_rejected": self.point.is_rejected,
            "tie_group": self.point.tie_group,
            "verdict": self.verdict and self.verdict.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """The state of a registered model, to decide from."""

    model: str
    since: datetime
    """Start of the recent changes."""
    frontier: Frontier
    pairs: tuple[PairVerdict, ...]
    judged: tuple[JudgedVersion, ...]
    """The champion first, then the challengers by score; a tie is in the order of their cost."""
    changes: tuple[HistoryEntry, ...]
    """Newest first."""

    @property
    def champion(self) -> JudgedVersion | None:
        """The model that contains the champion."""
        return next((judged for judged in self.judged if judged.point.is_champion), None)

    @property
    def best_group(self) -> list[FrontierPoint]:
        """The models that are not shown to differ from the best one, the cheapest first."""
        return [point for point in self.frontier.points if point.tie_group == 1]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            "model": self.model,
            "since": self.since.isoformat(),
            "frontier": self.frontier.to_dict(),
            "pairs": [asdict(pair) for pair in self.pairs],
            "judged": [judged.to_dict() for judged in self.judged],
            "changes": [entry.to_dict() for entry in self.changes],
        }


def summarise(
    model: str,
    frontier: Frontier,
    policy: Policy,
    verdicts: dict[int, Verdict],
    changes: list[HistoryEntry],
    since: datetime,
) -> ModelSummary:
    """Summarise a registered model.

    Args:
        model: its name.
        frontier: its models.
        policy: margin and smallest saving.
        verdicts: the last verdict about each version.
        changes: its changes, oldest first.
        since: time of the oldest change to report.
    """
    rule = policy.comparison
    judged = [
        JudgedVersion(
            point=point,
            verdict=_last_verdict(point, verdicts),
        )
        for point in frontier.points
    ]
    judged.sort(key=lambda entry: (not entry.point.is_champion, entry.point.tie_group))
    return ModelSummary(
        model=model,
        since=since,
        frontier=frontier,
        pairs=tuple(
            judge_pair(partner, margin=rule.margin, min_saving=rule.min_saving)
            for partner in frontier.dense_partners
        ),
        judged=tuple(judged),
        changes=tuple(reversed(changes)),
    )


def _last_verdict(point: FrontierPoint, verdicts: dict[int, Verdict]) -> Verdict | None:
    """Return the last verdict about a seed of a model: its seeds are tested together."""
    known = [verdicts[version] for version in point.versions if version in verdicts]
    return max(known, key=lambda verdict: verdict.at, default=None)
