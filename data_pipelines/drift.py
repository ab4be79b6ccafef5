"""Drift between two data versions: changes beyond a limit that chance does not explain.

A change counts as drift if it exceeds its limit by more than Z standard errors, so that small
tasks, whose shares move by chance, raise no alarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from data_pipelines.profile import DataProfile, LengthProfile

Z = 3.0
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class DriftLimits:
    """How far a data version may move from the one before."""

    share: Share = 0.03
    """Change of a mixture's share of the examples, e.g. 0.03 from 46 to 49 %."""
    length: Annotated[float, Field(ge=0)] = 0.2
    """Relative change of the mean length of a mixture's prompts or targets."""
    label: Share = 0.1
    """Change of an answer's share of the examples of a task with answer options."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A value that moved beyond its limit."""

    kind: Literal["share", "length", "label"]
    name: str
    """Mixture, mixture and field, or task and answer."""
    before: float
    after: float
    limit: float

    def __str__(self) -> str:
        if self.kind == "length":
            return f"mean length of {self.name}: {self.before:.1f} → {self.after:.1f} characters"
        what = "share" if self.kind == "share" else "label share"
        return f"{what} of {self.name}: {100 * self.before:.1f} → {100 * self.after:.1f} %"


def find_drift(before: DataProfile, after: DataProfile, limits: DriftLimits) -> list[Drift]:
    """Return the changes beyond the limits, mixtures first."""
    return [
        *_share_drift(before, after, limits.share),
        *_length_drift(before, after, limits.length),
        *_label_drift(before, after, limits.label),
    ]


def _share_drift(before: DataProfile, after: DataProfile, limit: float) -> list[Drift]:
    totals = before.num_examples, after.num_examples
    counts = [
        {name: mixture.num_examples for name, mixture in profile.mixtures.items()}
        for profile in (before, after)
    ]
    return [
        Drift(kind="share", name=name, before=shares[0], after=shares[1], limit=limit)
        for name, shares in _moved_shares(counts[0], counts[1], totals, limit)
    ]


def _length_drift(before: DataProfile, after: DataProfile, limit: float) -> list[Drift]:
    drifts = []
    for name in sorted(set(before.mixtures) & set(after.mixtures)):
        pair = before.mixtures[name], after.mixtures[name]
        for field in ("inputs", "targets"):
            lengths: list[LengthProfile] = [getattr(mixture, field) for mixture in pair]
            error = math.sqrt(
                sum(
                    length.variance / mixture.num_examples
                    for length, mixture in zip(lengths, pair, strict=True)
                )
            )
            change = abs(lengths[1].mean - lengths[0].mean)
            if change - Z * error > limit * lengths[0].mean:
                drifts.append(
                    Drift(
                        kind="length",
                        name=f"{name} {field}",
                        before=lengths[0].mean,
                        after=lengths[1].mean,
                        limit=limit,
                    )
                )
    return drifts


def _label_drift(before: DataProfile, after: DataProfile, limit: float) -> list[Drift]:
    return [
        Drift(kind="label", name=f"{task} {label!r}", before=old, after=new, limit=limit)
        for task in sorted(set(before.labels) & set(after.labels))
        for label, (old, new) in _moved_shares(
            before.labels[task],
            after.labels[task],
            (sum(before.labels[task].values()), sum(after.labels[task].values())),
            limit,
        )
    ]


def _moved_shares(
    before: dict[str, int], after: dict[str, int], totals: tuple[int, int], limit: float
) -> list[tuple[str, tuple[float, float]]]:
    """Return the names whose share moved beyond the limit, with both shares."""
    moved = []
    for name in sorted({*before, *after}):
        shares = before.get(name, 0) / totals[0], after.get(name, 0) / totals[1]
        error = math.sqrt(
            sum(share * (1 - share) / total for share, total in zip(shares, totals, strict=True))
        )
        if abs(shares[1] - shares[0]) - Z * error > limit:
            moved.append((name, shares))
    return moved
