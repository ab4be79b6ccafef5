"""Promotion gates: the conditions that a version must meet to become champion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from registry.comparison.item_set import item_set
from registry.comparison.precision import describe_precision, rounding_error
from registry.params import GateParams
from registry.schemas import EvaluationRecordSchema
from registry.versions import VersionInfo


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """Result of one gate."""

    name: str
    passed: bool
    detail: str
    """The values that decide the result."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def check_gates(
    candidate: VersionInfo,
    champion: VersionInfo | None,
    params: GateParams,
    artifact_faults: Sequence[str],
) -> list[GateResult]:
    """Check every gate, also after one has failed: the list is the evidence of a promotion.

    Args:
        candidate: the version to promote.
        champion: the present champion; None without one.
        params: the gates' thresholds.
        artifact_faults: what is wrong with the files of the candidate.
    """
    scores = candidate.evaluation
    min_accuracy = (
        scores.random_score + params.min_standard_errors_above_chance * scores.standard_error
    )
    gates = [
        GateResult(
            name="artifact_intact",
            passed=not artifact_faults,
            detail="; ".join(artifact_faults) or "every file has its checksum",
        ),
        GateResult(
            name="enough_items",
            passed=scores.num_items >= params.min_items,
            detail=f"{scores.num_items} items, minimum {params.min_items}",
        ),
        GateResult(
            name="complete",
            passed=params.allow_partial or not scores.partial,
            detail="partial evaluation" if scores.partial else "all items",
        ),
        GateResult(
            name="above_chance",
            passed=scores.accuracy > min_accuracy,
            detail=f"accuracy {scores.accuracy:.4f}, random score {scores.random_score:.4f}, "
            f"must be above {min_accuracy:.4f}",
        ),
        _check_contamination(scores, params),
        _check_self_test(scores, params),
    ]
    if champion is not None and champion.version != candidate.version:
        gates += _compare_with_champion(scores, champion, params)
    return gates


def _check_contamination(scores: EvaluationRecordSchema, params: GateParams) -> GateResult:
    """Check the most contaminated suite, so that a large suite does not hide a small one."""
    num_items: dict[str, int] = defaultdict(int)
    num_contaminated: dict[str, int] = defaultdict(int)
    for task in scores.tasks:
        if task.num_contaminated is None:
            return GateResult(
                name="uncontaminated",
                passed=False,
                detail="the evaluation record does not count contaminated items: the training data "
                "of an imported model is unknown; other models are evaluated again",
            )
        num_items[task.suite] += task.num_items
        num_contaminated[task.suite] += task.num_contaminated
    suite = max(num_items, key=lambda name: num_contaminated[name] / num_items[name])
    return GateResult(
        name="uncontaminated",
        passed=num_contaminated[suite] / num_items[suite] <= params.max_contaminated_share,
        detail=f"{num_contaminated[suite]} of {num_items[suite]} items of the most contaminated "
        f"suite ({suite}) overlap with the training mixture, maximum "
        f"{params.max_contaminated_share:.1%}",
    )


def _check_self_test(scores: EvaluationRecordSchema, params: GateParams) -> GateResult:
    """Check that the contamination check finds the overlaps planted in the mixture."""
    result = scores.overlap_self_test
    if result is None:
        return GateResult(
            name="contamination_check_tested",
            passed=True,
            detail="not checked: the record is of a release without this self-test",
        )
    return GateResult(
        name="contamination_check_tested",
        passed=result.min_recall >= params.min_self_test_recall
        and result.precision >= params.min_self_test_precision,
        detail=f"planted overlaps: smallest recall of a verbatim kind {result.min_recall:.3f}, "
        f"minimum {params.min_self_test_recall}; precision {result.precision:.4f}, minimum "
        f"{params.min_self_test_precision}",
    )


def _compare_with_champion(
    scores: EvaluationRecordSchema, champion: VersionInfo, params: GateParams
) -> list[GateResult]:
    is_same = item_set(scores) == item_set(champion.evaluation)
    return [
        GateResult(
            name="same_items_as_champion",
            passed=is_same,
            detail=f"champion version {champion.version} was evaluated on "
            + ("the same items" if is_same else "other items, so accuracies are not comparable"),
        ),
        _check_precision(scores, champion, params),
        GateResult(
            name="better_than_champion",
            passed=scores.accuracy > champion.evaluation.accuracy + params.min_gain,
            detail=f"accuracy {scores.accuracy:.4f}, champion version {champion.version} "
            f"{champion.evaluation.accuracy:.4f}, gain must be above {params.min_gain}",
        ),
    ]


def _check_precision(
    scores: EvaluationRecordSchema, champion: VersionInfo, params: GateParams
) -> GateResult:
    error = rounding_error(scores, champion.evaluation)
    own, other = describe_precision(scores), describe_precision(champion.evaluation)
    return GateResult(
        name="same_precision_as_champion",
        passed=error <= params.max_rounding_error,
        detail=f"evaluated in {own}, champion version {champion.version} in {other}; rounding "
        f"error {error:.1g}, maximum {params.max_rounding_error:.1g}",
    )
