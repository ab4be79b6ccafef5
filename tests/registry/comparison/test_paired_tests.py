"""Paired statistics against scipy's own, exact enumeration and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from registry.comparison.paired_tests import (
    Stratum,
    bootstrap,
    difference,
    holm,
    interval,
    items_needed,
    mcnemar,
    permutation,
    unseen_loss,
    verdict,
)


def binary(only_a, only_b, same):
    return np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * same)


@pytest.mark.parametrize("graded", [False, True])
def test_bootstrap_interval_against_scipy(graded):
    generator = np.random.default_rng(1)
    values = generator.normal(0.1, 0.4, 80) if graded else binary(30, 14, 56)
    low, high = interval(bootstrap([Stratum(differences=values)]), 0.95)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=2
    ).confidence_interval
    assert low == pytest.approx(theirs.low, abs=0.012)
    assert high == pytest.approx(theirs.high, abs=0.012)


def test_bootstrap_of_an_average_draws_within_tasks():
    strata = [
        Stratum(differences=binary(8, 2, 10), weight=0.5),
        Stratum(differences=np.full(30, 0.25), weight=0.5),
    ]
    assert difference(strata) == pytest.approx(0.5 * 0.3 + 0.5 * 0.25)
    drawn = bootstrap(strata)
    alone = 0.5 * bootstrap([Stratum(differences=binary(8, 2, 10))]).std()
    assert drawn.mean() == pytest.approx(difference(strata), abs=0.005)
    assert drawn.std() == pytest.approx(alone, rel=0.05)  # the second task has no spread


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (12, 4), (3, 9), (7, 7)])
def test_mcnemar_by_counting_coin_tosses(only_a, only_b):
    n = only_a + only_b
    if n == 0:
        assert mcnemar(binary(0, 0, 9)) == 1
        return
    as_far = sum(
        1
        for tosses in itertools.product((0, 1), repeat=n)
        if abs(sum(tosses) - n / 2) >= abs(only_a - n / 2)
    )
    assert mcnemar(binary(only_a, only_b, 20)) == pytest.approx(as_far / 2**n)


def test_permutation_by_enumerating_every_swap():
    values = np.array([0.5, -0.2, 0.3, 0.3, 0.0, 0.7, -0.1, 0.4])
    observed = abs(values.mean())
    every = [
        abs((values * signs).mean()) for signs in itertools.product((1, -1), repeat=len(values))
    ]
    exact = np.mean(np.array(every) >= observed - 1e-12)
    assert permutation([Stratum(differences=values)]) == pytest.approx(exact, abs=0.01)


def test_permutation_of_right_and_wrong_is_mcnemar():
    values = binary(16, 6, 30)
    assert permutation([Stratum(differences=values)]) == pytest.approx(mcnemar(values), abs=0.01)


def test_holm_against_the_closed_procedure():
    """A hypothesis is rejected if every set of hypotheses with it is, by Bonferroni."""
    p_values = [0.01, 0.04, 0.03, 0.005, 0.5]
    expected = []
    for i in range(len(p_values)):
        largest = 0.0
        for size in range(1, len(p_values) + 1):
            for chosen in itertools.combinations(range(len(p_values)), size):
                if i in chosen:
                    largest = max(largest, min(1, size * min(p_values[j] for j in chosen)))
        expected.append(largest)
    assert holm(p_values) == pytest.approx(expected)
    assert holm([]) == []


def test_verdicts():
    base = {"margin": 0.01, "alpha": 0.05}
    assert verdict(difference=0.1, p_value=0.01, low=0.02, **base) == "better"
    assert verdict(difference=-0.1, p_value=0.01, low=-0.2, **base) == "worse"
    assert verdict(difference=0.0, p_value=0.9, low=-0.005, **base) == "not worse"
    assert verdict(difference=0.0, p_value=0.9, low=-0.02, **base) == "undecided"


def test_items_needed_decide_four_times_in_five():
    needed = items_needed(binary(15, 5, 80), margin=0.0, alpha=0.05)
    generator = np.random.default_rng(0)
    decided = 0
    for _ in range(400):
        drawn = generator.choice([1.0, -1.0, 0.0], size=needed, p=[0.15, 0.05, 0.8])
        decided += mcnemar(drawn) < 0.05 and drawn.mean() > 0
    # The exact test asks for a little more than the formula.
    assert 0.68 < decided / 400 < 0.88
    assert items_needed(np.zeros(10), margin=0.01, alpha=0.05) is None
    assert items_needed(binary(1, 2, 97), margin=0.01, alpha=0.05) > 1000


def test_a_loss_that_was_not_seen_is_not_ruled_out():
    assert unseen_loss(binary(3, 1, 10), 0.05) == 0
    bound = unseen_loss(binary(0, 0, 150), 0.025)
    assert (1 - bound) ** 150 == pytest.approx(0.025)
