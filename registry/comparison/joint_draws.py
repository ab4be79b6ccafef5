"""Draws of the accuracies that several models may truly have, jointly, as they share the items.

Shape suffixes: R draws, V models, C clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from registry.comparison.pairing import pair_sorted_results
from registry.comparison.replicates import ReplicateGroup
from registry.comparison.variance_components import ClusterLayout, Floats

NUM_DRAWS = 2_000


def draw_accuracies(groups: Sequence[ReplicateGroup], seed: int = 0) -> tuple[Floats, Floats]:
    """Draw accuracies from normal distributions with the covariance that the shared items cause.

    The variance over the seeds of a model adds to it, in draws from Student's distribution.

    Args:
        groups: models that were evaluated on the same items, with their answers.
        seed: seed of the random generator.

    Returns:
        Accuracies, float [R, V], and their standard errors, float [V].
    """
    generator = np.random.default_rng(seed)
    samples = [pair_sorted_results(group.results, groups[0].results) for group in groups]
    layout = ClusterLayout(samples[0].task_N, samples[0].cluster_N, samples[0].weights_T)
    effects_VC = np.stack(
        [layout.sum_by_cluster(layout.residuals(sample.scores_a_SN.mean(0))) for sample in samples]
    )
    covariance_VV = effects_VC @ effects_VC.T + layout.single_item_variance * np.eye(len(groups))
    accuracies_V = [group.accuracy for group in groups]
    draws_RV = generator.multivariate_normal(
        accuracies_V, covariance_VV, size=NUM_DRAWS, method="eigh"
    )
    variances_V = np.diag(covariance_VV).copy()
    for v, group in enumerate(groups):
        num_seeds = len(group.versions)
        if num_seeds > 1:
            accuracies = [version.evaluation.accuracy for version in group.versions]
            variance = float(np.var(accuracies, ddof=1)) / num_seeds
            variances_V[v] += variance
            draws_RV[:, v] += variance**0.5 * generator.standard_t(num_seeds - 1, NUM_DRAWS)
    return draws_RV, np.sqrt(variances_V)


def draw_independent(groups: Sequence[ReplicateGroup], seed: int = 0) -> tuple[Floats, Floats]:
    """Draw accuracies independently from their recorded standard errors.

    For models of which some have no stored answers; it overstates the uncertainty of differences.

    Args:
        groups: models that were evaluated on the same items.
        seed: seed of the random generator.

    Returns:
        Accuracies, float [R, V], and their standard errors, float [V].
    """
    errors_V = np.array([group.newest.evaluation.standard_error for group in groups])
    accuracies_V = [group.accuracy for group in groups]
    draws_RV = np.random.default_rng(seed).normal(
        accuracies_V, errors_V, size=(NUM_DRAWS, len(groups))
    )
    return draws_RV, errors_V
