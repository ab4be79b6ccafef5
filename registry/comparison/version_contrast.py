"""Contrast of several models: a sum of scores minus another sum, on the same items and seeds.

A difference of differences, (A after − A before) − (B after − B before), is the sum of "A after"
and "B before" minus the sum of "A before" and "B after". For each item and seed it is one number,
so its uncertainty is that of a difference of two models: the drawn items (in their clusters) and
the drawn seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry.comparison.matching import check_replicates, common_tasks
from registry.comparison.pairing import cluster_keys, number_clusters
from registry.comparison.results import EvaluationResult, Evaluations
from registry.comparison.variance_components import Floats, PairedSample
from registry.errors import NotComparable


@dataclass(frozen=True, kw_only=True)
class ContrastPart:
    """The contrast on some tasks; different parts may be about different models."""

    plus: tuple[Evaluations, ...]
    """Models whose scores are added."""
    minus: tuple[Evaluations, ...]
    """Models whose scores are subtracted, as many as `plus`."""
    tasks: tuple[str, ...]
    """Tasks, all with the same share."""


def common_seeds(parts: Sequence[ContrastPart]) -> list[int]:
    """Return the seeds that every model of all parts has."""
    groups = [group for part in parts for group in (*part.plus, *part.minus)]
    return sorted(set.intersection(*({result.run.seed for result in group} for group in groups)))


def pair_contrast(parts: Sequence[ContrastPart]) -> PairedSample:
    """Return the two sums for each item and seed; the contrast is the mean of the parts.

    Args:
        parts: contrasts with the same number of models; only seeds that all models have count.

    Raises:
        NotComparable: the models have no common seed, or were evaluated on other items.
    """
    seeds = common_seeds(parts)
    if not seeds:
        raise NotComparable(
            "the models of the contrast have no common seed; train the missing ones"
        )
    scores: dict[str, list[Floats]] = {"plus": [], "minus": []}
    task_N: list[int] = []
    clusters: list[tuple[str, ...]] = []
    weights: list[float] = []
    for part in parts:
        groups = {side: [_select(group, seeds) for group in getattr(part, side)] for side in scores}
        first = groups["plus"][0][0]
        results = [result for side in groups.values() for group in side for result in group]
        suites = sorted({first.tasks[name].suite for name in part.tasks})
        for result in results[1:]:
            common_tasks(first, result, suites)
        for name in part.tasks:
            keys = cluster_keys(results, name)
            task_N += [len(weights)] * len(keys)
            clusters += keys
            weights.append(1 / len(parts) / len(part.tasks))
            for side, own in groups.items():
                scores[side].append(np.sum([_scores(group, name) for group in own], axis=0))
    return PairedSample(
        scores_a_SN=np.concatenate(scores["plus"], axis=1),
        scores_b_SN=np.concatenate(scores["minus"], axis=1),
        seeds_a=tuple(seeds),
        seeds_b=tuple(seeds),
        task_N=np.array(task_N),
        cluster_N=number_clusters(clusters),
        weights_T=np.array(weights),
        max_difference=float(len(parts[0].plus)),
    )


def _select(group: Evaluations, seeds: Sequence[int]) -> list[EvaluationResult]:
    """Return the evaluations of the seeds, in their order."""
    check_replicates(group)
    result_by_seed = {result.run.seed: result for result in group}
    return [result_by_seed[seed] for seed in seeds]


def _scores(group: Evaluations, task: str) -> Floats:
    """Return the scores of a task, float [S, N]."""
    return np.array([result.item_scores[task].scores for result in group], dtype=float)
