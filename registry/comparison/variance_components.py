"""Sources of error of the difference of two models: the drawn clusters of items, the drawn seeds.

Shape suffixes: N items, S seeds, T tasks, C clusters, P pairs of cluster and task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ROUNDING = 1e-12
"""Differences up to this size are 0 up to rounding."""
Source = Literal["items", "seeds", "seeds of A", "seeds of B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedSample:
    """Scores of two models on the same items, from one or several seeds each."""

    scores_a_SN: Floats
    scores_b_SN: Floats
    """One row per seed; one row without a seed for a constant reference such as random answers."""
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    """Empty for a constant reference."""
    task_N: Ints
    """Task of each item, 0 to T - 1."""
    cluster_N: Ints
    """Cluster of each item, 0 to C - 1; an item of its own is a cluster of its own."""
    weights_T: Floats
    """Share of each task in the average."""

    @property
    def item_differences(self) -> Floats:
        """Score of A minus score of B, each averaged over its seeds, float [N]."""
        return np.asarray(self.scores_a_SN.mean(0) - self.scores_b_SN.mean(0))

    @property
    def has_independent_items(self) -> bool:
        """Whether each task consists of items in no common cluster, or of a single cluster."""
        clusters = split_single_clusters(self.task_N, self.cluster_N)
        return len(np.unique(clusters)) == len(clusters)

    def select(self, tasks: Sequence[int], weights: Sequence[float]) -> PairedSample:
        """Return the items of some tasks.

        Args:
            tasks: numbers of the tasks.
            weights: share of each in the average.
        """
        is_selected_N = np.isin(self.task_N, tasks)
        number_T = np.zeros(len(self.weights_T), dtype=np.int64)
        number_T[list(tasks)] = np.arange(len(tasks))
        return replace(
            self,
            scores_a_SN=self.scores_a_SN[:, is_selected_N],
            scores_b_SN=self.scores_b_SN[:, is_selected_N],
            task_N=number_T[self.task_N[is_selected_N]],
            cluster_N=self.cluster_N[is_selected_N],
            weights_T=np.array(weights),
        )


@dataclass(frozen=True, kw_only=True)
class VarianceComponent:
    """One source of error of a difference."""

    source: Source
    variance: float
    degrees_of_freedom: float


def seed_components(sample: PairedSample, item_weights_N: Floats) -> tuple[VarianceComponent, ...]:
    """Return the variance due to seeds; empty if neither side has several.

    With the same seeds on both sides, the differences by seed are the observations. Otherwise each
    side has a variance of its own; a side with one seed takes the variance of the other.
    """
    means_a, means_b = (
        scores @ item_weights_N for scores in (sample.scores_a_SN, sample.scores_b_SN)
    )
    num_a, num_b = len(sample.seeds_a), len(sample.seeds_b)
    if max(num_a, num_b) < 2:
        return ()
    if sorted(sample.seeds_a) == sorted(sample.seeds_b):
        order_a, order_b = np.argsort(sample.seeds_a), np.argsort(sample.seeds_b)
        return (_variance_of_mean("seeds", means_a[order_a] - means_b[order_b]),)
    if num_b == 0:
        return (_variance_of_mean("seeds of A", means_a),)
    if min(num_a, num_b) == 1:
        several = means_a if num_a > 1 else means_b
        variance = float(several.var(ddof=1)) * (1 / num_a + 1 / num_b)
        freedom = len(several) - 1
        return (VarianceComponent(source="seeds", variance=variance, degrees_of_freedom=freedom),)
    return (_variance_of_mean("seeds of A", means_a), _variance_of_mean("seeds of B", means_b))


def _variance_of_mean(source: Source, values_S: Floats) -> VarianceComponent:
    return VarianceComponent(
        source=source,
        variance=float(values_S.var(ddof=1)) / len(values_S),
        degrees_of_freedom=len(values_S) - 1,
    )


def cluster_component(
    sample: PairedSample, differences_N: Floats
) -> tuple[VarianceComponent, float, int]:
    """Return the variance due to the drawn items, the effect of an unseen event, and the number
    of clusters.

    The variance is that of a stratified mean with clusters that may occur in several tasks; the
    residuals are divided by sqrt(1 - share of the cluster in the task) (CR2; Bell and McCaffrey,
    Survey Methodology 28, 2002), so clusters of different sizes are unbiased, too. A task with a
    single cluster represents itself, and its items are the clusters (a self-representing unit in
    survey sampling). A task with a single item has the largest possible variance.
    """
    cluster_N = split_single_clusters(sample.task_N, sample.cluster_N)
    num_tasks = len(sample.weights_T)
    key_N = cluster_N * num_tasks + sample.task_N
    key_P, pair_N = np.unique(key_N, return_inverse=True)
    task_P, cluster_P = key_P % num_tasks, key_P // num_tasks
    size_P = np.bincount(pair_N).astype(float)
    sum_P = np.bincount(pair_N, weights=differences_N)
    size_T = np.bincount(task_P, weights=size_P, minlength=num_tasks)
    mean_T = np.bincount(task_P, weights=sum_P, minlength=num_tasks) / size_T
    num_clusters_T = np.bincount(task_P, minlength=num_tasks)
    share_P = size_P / size_T[task_P]
    is_single_P = share_P == 1
    residual_P = np.where(
        is_single_P,
        0.0,
        sample.weights_T[task_P]
        * (sum_P - size_P * mean_T[task_P])
        / size_T[task_P]
        / np.sqrt(np.where(is_single_P, 1.0, 1 - share_P)),
    )
    variance = float((np.bincount(cluster_P, weights=residual_P) ** 2).sum())
    single_variance = float((sample.weights_T[task_P[is_single_P]] ** 2).sum())

    # Expected share of each pair in the variance, if a cluster's items are equal.
    square_sizes_T = np.bincount(task_P, weights=size_P**2, minlength=num_tasks)
    variance_T = np.bincount(task_P, weights=residual_P**2, minlength=num_tasks)
    scale_T = np.where(variance_T.any(), variance_T, sample.weights_T**2)
    expected_P = (scale_T / square_sizes_T)[task_P] * size_P**2
    correction_T = np.sqrt(num_clusters_T / np.maximum(num_clusters_T - 1, 1))
    corrected_C = np.bincount(cluster_P, weights=expected_P * correction_T[task_P])
    freedom = float(expected_P.sum() ** 2 / (corrected_C**2).sum())

    # Size of an event in each task: that of the clusters with a difference, or a cluster's share.
    effect_P = sum_P / size_T[task_P]
    num_events_T = np.bincount(task_P[abs(effect_P) > ROUNDING], minlength=num_tasks)
    effects_T = np.bincount(task_P, weights=effect_P**2, minlength=num_tasks)
    event_T = np.where(
        num_events_T > 0,
        np.sqrt(effects_T / np.maximum(num_events_T, 1)),
        square_sizes_T / size_T**2,
    )
    component = VarianceComponent(
        source="items",
        variance=variance + single_variance,
        degrees_of_freedom=max(freedom, 1.0),
    )
    num_clusters = len(np.unique(sample.cluster_N))
    return component, float((sample.weights_T * event_T).max()), num_clusters


def split_single_clusters(task_N: Ints, cluster_N: Ints) -> Ints:
    """Make each item a cluster of its own in the tasks that consist of one cluster."""
    num_tasks = int(task_N.max()) + 1
    pairs = np.unique(cluster_N * num_tasks + task_N)
    is_single_N = np.bincount(pairs % num_tasks)[task_N] == 1
    own_N = cluster_N.max() + 1 + np.arange(len(task_N))
    return np.where(is_single_N, own_N, cluster_N)
