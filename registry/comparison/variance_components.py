"""Sources of error of the difference of two models: the drawn clusters of items, the drawn seeds.

Shape suffixes: N items, S seeds, T tasks, C clusters, P pairs of cluster and task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
    max_difference: float = 1.0
    """Largest possible difference of an item: 1 for two models, n if each side is a sum of n."""

    @cached_property
    def item_differences(self) -> Floats:
        """Score of A minus score of B, each averaged over its seeds, float [N]."""
        return np.asarray(self.scores_a_SN.mean(0) - self.scores_b_SN.mean(0))

    @cached_property
    def item_weights(self) -> Floats:
        """Share of each item in the average, float [N]."""
        num_items_T = np.bincount(self.task_N, minlength=len(self.weights_T))
        return np.asarray((self.weights_T / num_items_T)[self.task_N])

    @cached_property
    def layout(self) -> ClusterLayout:
        """The clusters of the items."""
        return ClusterLayout(self.task_N, self.cluster_N, self.weights_T)

    @property
    def has_independent_items(self) -> bool:
        """Whether each task consists of items in no common cluster, or of a single cluster."""
        return int(self.layout.sum_by_cluster(self.layout.size_P).max()) == 1

    def select(self, tasks: Sequence[int], weights: Sequence[float]) -> PairedSample:
        """Return the items of some tasks.

        Args:
            tasks: numbers of the tasks.
            weights: share of each in the average.
        """
        number_T = np.full(len(self.weights_T), -1)
        number_T[list(tasks)] = np.arange(len(tasks))
        is_selected_N = number_T[self.task_N] >= 0
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


class ClusterLayout:
    """Clusters of the items of several tasks.

    A task with a single cluster represents itself, and its items are the clusters (a
    self-representing unit in survey sampling). A cluster may occur in several tasks.
    """

    def __init__(self, task_N: Ints, cluster_N: Ints, weights_T: Floats) -> None:
        clusters = split_single_clusters(task_N, cluster_N)
        num_tasks = len(weights_T)
        key_P, self.pair_N = np.unique(clusters * num_tasks + task_N, return_inverse=True)
        self.weights_T = weights_T
        self.task_P = key_P % num_tasks
        self.cluster_P = np.unique(key_P // num_tasks, return_inverse=True)[1]
        self.size_P = np.bincount(self.pair_N).astype(float)
        self.size_T = self.sum_by_task(self.size_P)
        self.num_clusters_T = np.bincount(self.task_P, minlength=num_tasks)
        self.share_P = self.size_P / self.size_T[self.task_P]

    def sum_by_pair(self, values_N: Floats) -> Floats:
        """Add up the values of the items of each pair of cluster and task."""
        return np.asarray(np.bincount(self.pair_N, weights=values_N))

    def sum_by_task(self, values_P: Floats) -> Floats:
        """Add up the values of the pairs of each task."""
        return np.asarray(np.bincount(self.task_P, weights=values_P, minlength=len(self.weights_T)))

    def sum_by_cluster(self, values_P: Floats) -> Floats:
        """Add up the values of the pairs of each cluster, over all tasks."""
        return np.asarray(np.bincount(self.cluster_P, weights=values_P))

    def residuals(self, values_N: Floats) -> Floats:
        """Return the effect of each pair on the weighted mean.

        Residuals are divided by the square root of 1 - share of the cluster in the task, so that
        the variance is unbiased for clusters of different sizes, too (CR2; Bell and McCaffrey,
        Survey Methodology 28, 2002). Pairs of a cluster are added before they are squared.
        """
        sum_P = self.sum_by_pair(values_N)
        mean_T = self.sum_by_task(sum_P) / self.size_T
        is_single_P = self.share_P == 1
        scale_P = self.weights_T[self.task_P] / self.size_T[self.task_P]
        scale_P = scale_P / np.sqrt(np.where(is_single_P, 1.0, 1 - self.share_P))
        residual_P = (sum_P - self.size_P * mean_T[self.task_P]) * scale_P
        return np.where(is_single_P, 0.0, residual_P)

    @property
    def single_item_variance(self) -> float:
        """Largest possible variance of the tasks with a single item, which shows none.

        Of differences between -1 and 1.
        """
        return float((self.weights_T[self.task_P[self.share_P == 1]] ** 2).sum())

    def degrees_of_freedom(self, residual_P: Floats) -> float:
        """Return Satterthwaite's degrees of freedom if the items of a cluster are equal."""
        variance_T = self.sum_by_task(residual_P**2)
        scale_T = np.where(variance_T.any(), variance_T, self.weights_T**2)
        expected_P = (scale_T / self.sum_by_task(self.size_P**2))[self.task_P] * self.size_P**2
        correction_T = np.sqrt(self.num_clusters_T / np.maximum(self.num_clusters_T - 1, 1))
        corrected_C = self.sum_by_cluster(expected_P * correction_T[self.task_P])
        return max(float(expected_P.sum() ** 2 / (corrected_C**2).sum()), 1.0)

    def unseen_event(self, values_N: Floats, max_difference: float) -> float:
        """Return the largest effect of a cluster with an outcome that no cluster of its task has.

        It is as large as a usual cluster with a difference, or, in a task without differences, as a
        cluster in which every item differs by the maximum.
        """
        effect_P = self.sum_by_pair(values_N) / self.size_T[self.task_P]
        num_events_T = self.sum_by_task(abs(effect_P) > ROUNDING)
        usual_T = np.sqrt(self.sum_by_task(effect_P**2) / np.maximum(num_events_T, 1))
        largest_T = max_difference * self.sum_by_task(self.share_P**2)
        return float((self.weights_T * np.where(num_events_T > 0, usual_T, largest_T)).max())


def cluster_component(sample: PairedSample) -> tuple[VarianceComponent, float]:
    """Return the variance due to the drawn items, and the effect of an unseen event."""
    layout = sample.layout
    residual_P = layout.residuals(sample.item_differences)
    variance = float((layout.sum_by_cluster(residual_P) ** 2).sum())
    component = VarianceComponent(
        source="items",
        variance=variance + sample.max_difference**2 * layout.single_item_variance,
        degrees_of_freedom=layout.degrees_of_freedom(residual_P),
    )
    return component, layout.unseen_event(sample.item_differences, sample.max_difference)


def split_single_clusters(task_N: Ints, cluster_N: Ints) -> Ints:
    """Make each item a cluster of its own in the tasks that consist of one cluster."""
    num_tasks = int(task_N.max()) + 1
    pairs = np.unique(cluster_N * num_tasks + task_N)
    is_single_N = np.bincount(pairs % num_tasks)[task_N] == 1
    own_N = cluster_N.max() + 1 + np.arange(len(task_N))
    return np.where(is_single_N, own_N, cluster_N)
