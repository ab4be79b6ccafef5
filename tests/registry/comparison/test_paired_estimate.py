"""The paired estimate against scipy and brute force, and its coverage by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from registry.comparison.paired_estimate import estimate_difference
from tests.registry.comparison.factories import binary_differences, paired_sample


def test_half_width_of_independent_items_is_that_of_the_t_test():
    values = np.random.default_rng(0).normal(0.1, 0.3, 50)
    estimate = estimate_difference(paired_sample(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    unseen = math.log(0.025) * estimate.unseen_event
    half_width = math.sqrt(estimate.half_width(0.025) ** 2 - unseen**2)
    assert estimate.difference == pytest.approx(values.mean())
    assert half_width == pytest.approx((expected.high - expected.low) / 2)
    assert estimate.unseen_event == pytest.approx(math.sqrt((values**2).mean()) / 50)
    assert estimate.basis == "50 items only: one seed, no interval over seeds"


def test_clusters_of_equal_size_count_as_single_observations():
    generator = np.random.default_rng(1)
    by_cluster = generator.normal(0, 0.3, (12, 5)) + generator.normal(0, 0.2, (12, 1))
    estimate = estimate_difference(paired_sample(by_cluster.ravel(), clusters=np.arange(60) // 5))
    (items,) = estimate.components
    assert items.variance == pytest.approx(by_cluster.mean(1).var(ddof=1) / 12)
    assert items.degrees_of_freedom == pytest.approx(11)
    assert estimate.basis.startswith("60 items in 12 clusters only")


def test_a_cluster_of_several_tasks_is_counted_once():
    """The same 10 passages in 2 tasks: the observations are the weighted means by passage."""
    by_task = np.random.default_rng(2).normal(0, 1, (2, 10, 3)).cumsum(0)
    sample = paired_sample(
        by_task.ravel(), tasks=np.arange(60) // 30, clusters=np.tile(np.arange(10).repeat(3), 2),
        weights=[0.7, 0.3],
    )  # fmt: skip
    (items,) = estimate_difference(sample).components
    by_passage = 0.7 * by_task[0].mean(1) + 0.3 * by_task[1].mean(1)
    assert items.variance == pytest.approx(by_passage.var(ddof=1) / 10)
    assert items.degrees_of_freedom == pytest.approx(9)


def test_tasks_with_clusters_of_their_own_are_strata():
    by_task = np.random.default_rng(3).normal(0, 1, (2, 10))
    (items,) = estimate_difference(
        paired_sample(by_task.ravel(), tasks=np.arange(20) // 10, weights=[0.7, 0.3])
    ).components
    variances = by_task.var(ddof=1, axis=1) / 10 * np.array([0.7, 0.3]) ** 2
    assert items.variance == pytest.approx(variances.sum())
    satterthwaite = variances.sum() ** 2 / (variances**2 / 9).sum()
    assert items.degrees_of_freedom == pytest.approx(satterthwaite)


def test_a_task_that_is_a_single_cluster_represents_itself():
    values = np.random.default_rng(4).normal(0, 1, 40)
    tasks = np.arange(40) // 20
    by_family = estimate_difference(paired_sample(values, tasks=tasks, clusters=tasks))
    assert (
        by_family.components == estimate_difference(paired_sample(values, tasks=tasks)).components
    )
    assert by_family.num_clusters == 2


def test_variance_of_clusters_of_different_sizes_is_unbiased():
    generator = np.random.default_rng(5)
    clusters = np.repeat(np.arange(6), [1, 2, 3, 5, 10, 30])
    variances = [
        estimate_difference(paired_sample(generator.normal(0, 1, 51), clusters=clusters))
        .components[0]
        .variance
        for _ in range(4000)
    ]
    assert np.mean(variances) == pytest.approx(1 / 51, rel=0.05)


def test_a_single_item_has_the_largest_possible_variance():
    sample = paired_sample([1.0, 0.0, 1.0], tasks=[0, 1, 1], weights=[0.2, 0.8])
    (items,) = estimate_difference(sample).components
    assert items.variance == pytest.approx(0.2**2 + 0.8**2 * 0.5 / 2)
    low, high = estimate_difference(paired_sample([0.0])).interval()
    assert (low, high) == (-1, 1)


def test_equal_answers_are_not_certain_to_be_equal():
    """No loss in 150 items: the exact binomial bound of the share of losses is 2.4 %."""
    low, high = estimate_difference(paired_sample(np.zeros(150))).interval()
    exact = 1 - 0.025 ** (1 / 150)
    assert exact < -low == high < 1.05 * exact
    in_clusters = paired_sample(np.zeros(150), clusters=np.arange(150) // 10)
    assert estimate_difference(in_clusters).interval()[1] == pytest.approx(-math.log(0.025) / 15)


def test_interval_over_matched_seeds_is_that_of_their_differences():
    """Every item gains the same, so seeds are the only source of error."""
    gains = np.array([0.1, 0.25, 0.2])
    shared = np.random.default_rng(6).random((1, 40)) / 2
    sample = paired_sample(shared + gains[:, None], np.repeat(shared, 3, axis=0))
    items, seeds = estimate_difference(sample).components
    assert items.variance == pytest.approx(0)
    assert (seeds.variance, seeds.degrees_of_freedom) == (pytest.approx(gains.var(ddof=1) / 3), 2)
    shuffled = paired_sample(shared + gains[:, None], shared + np.zeros((3, 1)), seeds_b=(2, 0, 1))
    assert estimate_difference(shuffled).components[1].variance == pytest.approx(seeds.variance)


def test_other_seeds_are_groups_and_a_single_seed_takes_the_variance_of_the_other_side():
    means_a, means_b = np.array([0.5, 0.7, 0.6]), np.array([0.3, 0.4])
    sample = paired_sample(means_a[:, None].repeat(9, 1), means_b[:, None].repeat(9, 1))
    _, seeds_a, seeds_b = estimate_difference(sample).components
    assert (seeds_a.variance, seeds_a.degrees_of_freedom) == (pytest.approx(0.01 / 3), 2)
    assert (seeds_b.variance, seeds_b.degrees_of_freedom) == (pytest.approx(0.005 / 2), 1)
    single = paired_sample(means_a[:, None].repeat(9, 1), np.full((1, 9), 0.4))
    estimate = estimate_difference(single)
    assert estimate.components[1].variance == pytest.approx(0.01 * (1 / 3 + 1))
    assert estimate.basis == "3 against 1 seeds and 9 items"
    constant = paired_sample(means_a[:, None].repeat(9, 1), np.full((1, 9), 0.4), seeds_b=())
    assert estimate_difference(constant).components[1].variance == pytest.approx(0.01 / 3)


@pytest.mark.parametrize("null", [0.0, -0.01, 0.3])
def test_p_value_is_the_level_at_which_the_bound_is_the_null(null):
    values = np.random.default_rng(7).normal(0.1, 0.4, (3, 60))
    estimate = estimate_difference(paired_sample(values))
    greater = estimate.p_value(null, "greater")
    if greater < 0.5:
        assert estimate.lower_bound(greater) == pytest.approx(null, abs=1e-6)
    less = estimate.p_value(null, "less")
    assert greater + less == pytest.approx(1)
    assert estimate.p_value(null) == pytest.approx(2 * min(greater, less))


def test_p_value_of_many_independent_items_is_that_of_the_t_test():
    values = binary_differences(120, 80, 800)
    p_value = estimate_difference(paired_sample(values)).p_value()
    assert p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.004)
    assert estimate_difference(paired_sample(np.zeros(9))).p_value() == 1


@pytest.mark.parametrize("num_seeds", [1, 3, 5])
def test_decidable_difference_is_decided_with_a_power_of_80_percent(num_seeds):
    """An evaluation names the difference; another one, at this true difference, decides."""
    generator = np.random.default_rng(8)

    def draw(difference):
        noise = generator.normal(0, 0.5, (num_seeds, 200)) + generator.normal(0, 0.3, 200)
        seed_effects = generator.normal(0, 0.03 if num_seeds > 1 else 0, (num_seeds, 1))
        return estimate_difference(paired_sample(difference + noise + seed_effects))

    num_decided = sum(
        draw(draw(0.0).decidable_difference(0.05)).lower_bound(0.05) > 0 for _ in range(300)
    )
    assert stats.binomtest(num_decided, 300, 0.8, alternative="less").pvalue > 0.01


@pytest.mark.parametrize(("num_seeds", "seed_std"), [(1, 0.0), (2, 0.05), (3, 0.0), (3, 0.1)])
def test_coverage_with_few_seeds_and_clusters_is_at_least_nominal(num_seeds, seed_std):
    """Shortened; benchmarks/coverage.py has 2,000 simulations of more cases."""
    generator = np.random.default_rng(9)
    num_covered, num_simulations = 0, 400
    clusters = np.arange(200) // 10
    for _ in range(num_simulations):
        shared = math.sqrt(0.3) * generator.normal(0, 1, 20)[clusters]
        shared = shared + math.sqrt(0.7) * generator.normal(0, 1, (num_seeds, 200))
        seed_effects = generator.normal(0, seed_std, (num_seeds, 1))
        sample = paired_sample(0.02 + 0.4 * shared + seed_effects, clusters=clusters)
        low, high = estimate_difference(sample).interval()
        num_covered += low <= 0.02 <= high
    assert stats.binomtest(num_covered, num_simulations, 0.95, alternative="less").pvalue > 0.01
