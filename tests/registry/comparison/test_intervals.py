"""The bootstrap against scipy's own, and the bound for losses that were not observed."""

import numpy as np
import pytest
from scipy import stats

from registry.comparison.intervals import (
    Stratum,
    bootstrap_differences,
    percentile_interval,
    resample_means,
    unobserved_loss_bound,
    weighted_difference,
)
from tests.registry.comparison.factories import binary_differences


@pytest.mark.parametrize("graded", [False, True])
def test_bootstrap_interval_agrees_with_scipy(graded):
    generator = np.random.default_rng(1)
    values = generator.normal(0.1, 0.4, 80) if graded else binary_differences(30, 14, 56)
    low, high = percentile_interval(bootstrap_differences([Stratum(differences=values)]), 0.95)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=2
    ).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.012)
    assert high == pytest.approx(expected.high, abs=0.012)


def test_bootstrap_of_an_average_resamples_within_tasks():
    strata = [
        Stratum(differences=binary_differences(8, 2, 10), weight=0.5),
        Stratum(differences=np.full(30, 0.25), weight=0.5),
    ]
    assert weighted_difference(strata) == pytest.approx(0.5 * 0.3 + 0.5 * 0.25)
    resampled = bootstrap_differences(strata)
    first = bootstrap_differences([Stratum(differences=binary_differences(8, 2, 10))])
    assert resampled.mean() == pytest.approx(weighted_difference(strata), abs=0.005)
    # The second task has no variance.
    assert resampled.std() == pytest.approx(0.5 * first.std(), rel=0.05)


def test_resample_means_draws_the_same_items_for_all_models():
    generator = np.random.default_rng(2)
    scores_MN = generator.integers(0, 2, (2, 150)).astype(float)
    means_RM = resample_means([(scores_MN, 1.0)], num_resamples=4000)
    difference = scores_MN[0] - scores_MN[1]
    paired_std = difference.std() / len(difference) ** 0.5
    assert (means_RM[:, 0] - means_RM[:, 1]).std() == pytest.approx(paired_std, rel=0.05)
    assert means_RM.mean(0) == pytest.approx(scores_MN.mean(1), abs=0.005)
    same = np.stack([scores_MN[0], scores_MN[0]])
    means_RM = resample_means([(same, 1.0)], num_resamples=50)
    assert np.array_equal(means_RM[:, 0], means_RM[:, 1])


def test_unobserved_loss_bound_is_the_exact_binomial_bound():
    assert unobserved_loss_bound(binary_differences(3, 1, 10), 0.05) == 0
    bound = unobserved_loss_bound(binary_differences(0, 0, 150), 0.025)
    assert (1 - bound) ** 150 == pytest.approx(0.025)
