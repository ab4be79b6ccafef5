"""Pairs the item scores of finished evaluations: seeds of A and of B on the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from registry.comparison.matching import check_replicates, common_tasks
from registry.comparison.results import EvaluationResult, Evaluations
from registry.comparison.variance_components import Floats, Ints, PairedSample

Bools = npt.NDArray[np.bool_]


def pair_results(
    a: Evaluations,
    b: Evaluations,
    *,
    weights: Mapping[str, float] | None = None,
    excluded: Mapping[str, Bools] | None = None,
) -> PairedSample:
    """Pair the scores of two models, each with one evaluation per seed.

    Args:
        a: evaluations of A, which differ in their seed only.
        b: evaluations of B, which differ in their seed only.
        weights: share of each task in the average; by default those of the overall accuracy.
        excluded: which items of a task to exclude; by default none.

    Raises:
        NotComparable: items, prompts or settings differ, or a side's runs are no replicates.
    """
    check_replicates(a)
    check_replicates(b)
    suites = sorted({a[0].tasks[name].suite for name in weights}) if weights else ()
    for result in (*a[1:], *b):
        common_tasks(a[0], result, suites)
    if weights is None:
        weights = overall_weights(a[0])
    items = {
        name: np.arange(len(a[0].item_scores[name].ids))
        if excluded is None
        else np.flatnonzero(~excluded[name])
        for name in weights
    }
    return _pair(a, b, weights, items)


def pair_sorted_results(
    a: Evaluations, b: Evaluations, weights: Mapping[str, float]
) -> PairedSample:
    """Pair two models whose items are equal and sorted by id; prompts may differ.

    Args:
        a: evaluations of A.
        b: evaluations of B, with as many items in each task.
        weights: share of each task in the average.
    """
    items = {name: np.arange(len(a[0].item_scores[name].ids)) for name in weights}
    return _pair(a, b, weights, items)


def _pair(
    a: Evaluations, b: Evaluations, weights: Mapping[str, float], items: Mapping[str, Ints]
) -> PairedSample:
    task_N, cluster_N = _layout([*a, *b], items)
    return PairedSample(
        scores_a_SN=np.stack([_scores(result, items) for result in a]),
        scores_b_SN=np.stack([_scores(result, items) for result in b]),
        seeds_a=tuple(result.run.seed for result in a),
        seeds_b=tuple(result.run.seed for result in b),
        task_N=task_N,
        cluster_N=cluster_N,
        weights_T=np.array(list(weights.values())),
    )


def pair_with_chance(a: Evaluations, *, weights: Mapping[str, float] | None = None) -> PairedSample:
    """Pair the scores of a model with the expected score of random answers in each task.

    Args:
        a: evaluations of the model, which differ in their seed only.
        weights: share of each task in the average; by default those of the overall accuracy.

    Raises:
        NotComparable: the evaluations are no replicates on the same items.
    """
    weights = overall_weights(a[0]) if weights is None else weights
    own = pair_results(a, a, weights=weights)
    random_score_T = np.array([a[0].tasks[name].random_score for name in weights])
    return PairedSample(
        scores_a_SN=own.scores_a_SN,
        scores_b_SN=random_score_T[own.task_N][None, :],
        seeds_a=own.seeds_a,
        seeds_b=(),
        task_N=own.task_N,
        cluster_N=own.cluster_N,
        weights_T=own.weights_T,
    )


def overall_weights(result: EvaluationResult) -> dict[str, float]:
    """Return the share of each task in the overall accuracy."""
    return {task.task: task.weight for task in result.evaluation.tasks}


def cluster_keys(results: Evaluations, task: str) -> list[tuple[str, ...]]:
    """Return a key of each item of a task that is equal for correlated items of all tasks.

    It is the recorded cluster; without one, the question itself, which several suites may ask, such
    as `mmlu_direct/anatomy` and `mmlu_cot/anatomy`. Samples of release 0.1.0 have no clusters: one
    evaluation of the same items that has them is enough.
    """
    question_file = task.partition("/")[2]
    recorded = zip(*(result.item_scores[task].clusters for result in results), strict=True)
    return [
        (cluster,) if cluster else (question_file, item)
        for item, clusters in zip(results[0].item_scores[task].ids, recorded, strict=True)
        for cluster in [next(filter(None, clusters), None)]
    ]


def _scores(result: EvaluationResult, items: Mapping[str, Ints]) -> Floats:
    scores = [np.array(result.item_scores[name].scores)[i] for name, i in items.items()]
    return np.concatenate(scores).astype(float)


def _layout(results: Evaluations, items: Mapping[str, Ints]) -> tuple[Ints, Ints]:
    """Return the number of the task and of the cluster of each item."""
    tasks: list[int] = []
    clusters: list[tuple[str, ...]] = []
    for position, (name, retained) in enumerate(items.items()):
        keys = cluster_keys(results, name)
        clusters += [keys[i] for i in retained]
        tasks += [position] * len(retained)
    return np.array(tasks), number_clusters(clusters)


def number_clusters(keys: Sequence[tuple[str, ...]]) -> Ints:
    """Return a number for the key of each item, equal for equal keys."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])
