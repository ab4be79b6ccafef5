"""The models of a plot or table: versions whose scores are comparable, seeds of a recipe together.

Scores are comparable if the versions answered the same items, in the same precision. By default
they are those of the champion: a trial on a few items never hides it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.comparison.precision import (
    MAX_ROUNDING_ERROR,
    describe_precision,
    rounding_error,
)
from registry.comparison.replicates import ReplicateGroup, group_replicates
from registry.comparison.scores import OVERALL, Score, read_score, score_names
from registry.errors import InvalidQuery
from registry.versions import VersionInfo, current_versions

SamplesOf = Callable[[VersionInfo], Path | None]


@dataclass(frozen=True, kw_only=True)
class ItemSet:
    """Evaluation items that some versions answered."""

    digest: str
    num_items: int
    partial: bool
    num_versions: int
    newest: int
    """The newest version that answered them."""


@dataclass(frozen=True, kw_only=True)
class ExcludedVersion:
    """A version that is not among the points, and the reason."""

    name: str
    version: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """A model: its versions, one per seed, and its score averaged over them."""

    group: ReplicateGroup
    scores: tuple[Score, ...]
    """Of each version."""

    @property
    def value(self) -> float:
        """Score averaged over seeds."""
        return sum(score.value for score in self.scores) / len(self.scores)


@dataclass(frozen=True, kw_only=True)
class ModelSet:
    """The comparable models of a registered model."""

    score: str
    """A name of `scores.score_names`."""
    items_digest: str
    """The items that all models answered; empty without a model."""
    score_names: tuple[str, ...]
    item_sets: tuple[ItemSet, ...]
    """Sets of items that versions answered, the newest first."""
    excluded: tuple[ExcludedVersion, ...]
    models: tuple[ScoredModel, ...]


def select_models(
    versions: Sequence[VersionInfo],
    samples_of: SamplesOf,
    *,
    score: str = OVERALL,
    items_digest: str = "",
    exclusion: Callable[[VersionInfo], str] = lambda version: "",
) -> ModelSet:
    """Select the newest version of each run and seed, and the champion, that are comparable.

    Args:
        versions: versions of one registered model.
        samples_of: returns the samples.parquet of a version; None if they were not stored.
        score: a name of `scores.score_names`.
        items_digest: the items that the models answered; empty: those of the champion, without one
            those of the newest complete evaluation.
        exclusion: returns a further reason to exclude a version; empty: none.

    Raises:
        InvalidQuery: no version answered these items, or their evaluation has no such score.
    """
    candidates = current_versions(versions)
    item_sets = _item_sets(candidates)
    if not candidates:
        return ModelSet(
            score=score, items_digest="", score_names=(), item_sets=(), excluded=(), models=()
        )
    reference = _choose_reference(candidates, items_digest)
    names = score_names(reference.evaluation)
    if score not in names:
        raise InvalidQuery(f"score: {score!r} is unknown; expected one of {', '.join(names)}")
    included, excluded = [], []
    for version in candidates:
        reason = _incomparable(version, reference) or exclusion(version)
        if reason:
            entry = ExcludedVersion(name=version.name, version=version.version, reason=reason)
            excluded.append(entry)
        else:
            included.append(version)
    return ModelSet(
        score=score,
        items_digest=reference.items_digest,
        score_names=tuple(names),
        item_sets=item_sets,
        excluded=tuple(excluded),
        models=tuple(
            ScoredModel(group=group, scores=_read_scores(group, score))
            for group in group_replicates(included, samples_of)
        ),
    )


def _read_scores(group: ReplicateGroup, name: str) -> tuple[Score, ...]:
    scores = [read_score(version.evaluation, name) for version in group.versions]
    return tuple(score for score in scores if score is not None)


def _choose_reference(candidates: Sequence[VersionInfo], items_digest: str) -> VersionInfo:
    """Return the version whose items and precision all models have."""
    matching = [v for v in candidates if not items_digest or v.items_digest == items_digest]
    if not matching:
        digests = ", ".join(item_set.digest for item_set in _item_sets(candidates))
        raise InvalidQuery(
            f"items: no version answered the items {items_digest!r}; expected one of {digests}"
        )

    def rank(version: VersionInfo) -> tuple[bool, bool, int]:
        return version.is_champion, not version.evaluation.partial, version.version

    return max(matching, key=rank)


def _item_sets(candidates: Sequence[VersionInfo]) -> tuple[ItemSet, ...]:
    versions_by_digest: dict[str, list[VersionInfo]] = defaultdict(list)
    for version in candidates:
        versions_by_digest[version.items_digest].append(version)
    sets = [
        ItemSet(
            digest=digest,
            num_items=members[-1].evaluation.num_items,
            partial=members[-1].evaluation.partial,
            num_versions=len(members),
            newest=members[-1].version,
        )
        for digest, members in versions_by_digest.items()
    ]
    return tuple(sorted(sets, key=lambda item_set: -item_set.newest))


def _incomparable(version: VersionInfo, reference: VersionInfo) -> str:
    """Return why a version's scores do not compare with the reference's; empty if they do."""
    if version.items_digest != reference.items_digest:
        return "evaluated on other items"
    if rounding_error(version.evaluation, reference.evaluation) > MAX_ROUNDING_ERROR:
        return f"evaluated in {describe_precision(version.evaluation)}"
    return ""
