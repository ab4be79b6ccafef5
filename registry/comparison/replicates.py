"""Versions that differ in their seed only: replicates of one model, with their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.comparison.recipe import replicate_differences
from registry.comparison.results import EvaluationResult, read_item_scores
from registry.errors import NotComparable
from registry.versions import VersionInfo


@dataclass(frozen=True, kw_only=True)
class ReplicateGroup:
    """Versions of one model, one per seed, newest first."""

    versions: tuple[VersionInfo, ...]
    results: tuple[EvaluationResult, ...]
    """Their evaluations with items sorted by id; empty if the answers of some are not stored."""

    @property
    def newest(self) -> VersionInfo:
        """The version that the group is named by."""
        return self.versions[0]

    @property
    def is_champion(self) -> bool:
        """Whether one of the versions is the model's champion."""
        return any(version.is_champion for version in self.versions)

    @property
    def accuracy(self) -> float:
        """Accuracy, averaged over seeds."""
        accuracies = [version.evaluation.accuracy for version in self.versions]
        return sum(accuracies) / len(accuracies)


def group_replicates(
    versions: Sequence[VersionInfo], samples_of: Callable[[VersionInfo], Path | None]
) -> list[ReplicateGroup]:
    """Group versions of the same run name, model and recipe whose seeds differ.

    Args:
        versions: versions that were evaluated on the same items.
        samples_of: returns samples.parquet of a version; None if it is not stored.

    Returns:
        The groups, the one with the newest version first.
    """
    groups: list[list[VersionInfo]] = []
    for version in sorted(versions, key=lambda version: -version.version):
        group = next((group for group in groups if _is_replicate(version, group)), None)
        if group is None:
            groups.append([version])
        else:
            group.append(version)
    return [
        ReplicateGroup(versions=tuple(group), results=_read_results(group, samples_of))
        for group in groups
    ]


def _is_replicate(version: VersionInfo, group: Sequence[VersionInfo]) -> bool:
    """Return whether a version is a further seed of the group's model."""
    run, other = version.run_record, group[0].run_record
    return (
        run.name == other.name
        and run.seed not in {member.run_record.seed for member in group}
        and not replicate_differences(run, other)
    )


def _read_results(
    versions: Sequence[VersionInfo], samples_of: Callable[[VersionInfo], Path | None]
) -> tuple[EvaluationResult, ...]:
    results = []
    for version in versions:
        label = f"{version.name} v{version.version}"
        file = samples_of(version)
        if file is None:
            return ()
        try:
            items_by_task = read_item_scores(file, label)
        except NotComparable:  # of a release that did not store what pairing needs
            return ()
        results.append(
            EvaluationResult(
                label=label,
                run=version.run_record,
                evaluation=version.evaluation,
                item_scores={task: items.sort_by_id() for task, items in items_by_task.items()},
            )
        )
    return tuple(results)
