"""Paired tests against exact enumeration and simulation."""

import itertools

import numpy as np
import pytest

from registry.comparison.paired_tests import holm, mcnemar, num_items_needed, permutation_test
from tests.registry.comparison.factories import binary_differences, paired_sample


@pytest.mark.parametrize(("num_a", "num_b"), [(0, 0), (5, 0), (12, 4), (3, 9), (7, 7)])
def test_mcnemar_agrees_with_enumerated_coin_tosses(num_a, num_b):
    n = num_a + num_b
    if n == 0:
        assert mcnemar(binary_differences(0, 0, 9)) == 1
        return
    num_as_extreme = sum(
        1
        for tosses in itertools.product((0, 1), repeat=n)
        if abs(sum(tosses) - n / 2) >= abs(num_a - n / 2)
    )
    assert mcnemar(binary_differences(num_a, num_b, 20)) == pytest.approx(num_as_extreme / 2**n)


def test_permutation_test_agrees_with_enumerated_swaps():
    values = np.array([0.5, -0.2, 0.3, 0.3, 0.0, 0.7, -0.1, 0.4])
    observed = abs(values.mean())
    swapped = [
        abs((values * signs).mean()) for signs in itertools.product((1, -1), repeat=len(values))
    ]
    exact = np.mean(np.array(swapped) >= observed - 1e-12)
    assert permutation_test(paired_sample(values)) == pytest.approx(exact, abs=0.01)


def test_permutation_test_of_binary_scores_agrees_with_mcnemar():
    values = binary_differences(16, 6, 30)
    p_value = permutation_test(paired_sample(values))
    assert p_value == pytest.approx(mcnemar(values), abs=0.01)


def test_holm_agrees_with_the_closed_testing_procedure():
    """A hypothesis is rejected if Bonferroni rejects every set of hypotheses that contains it."""
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


def test_num_items_needed_gives_a_power_of_80_percent():
    needed = num_items_needed(binary_differences(15, 5, 80), margin=0.0, alpha=0.05)
    generator = np.random.default_rng(0)
    num_decided = 0
    for _ in range(400):
        sampled = generator.choice([1.0, -1.0, 0.0], size=needed, p=[0.15, 0.05, 0.8])
        num_decided += mcnemar(sampled) < 0.05 and sampled.mean() > 0
    # The exact test is slightly more conservative than the formula.
    assert 0.68 < num_decided / 400 < 0.88


def test_num_items_needed_grows_with_smaller_differences():
    assert num_items_needed(np.zeros(10), margin=0.01, alpha=0.05) is None
    assert num_items_needed(binary_differences(1, 2, 97), margin=0.01, alpha=0.05) > 1000


def test_num_items_needed_grows_with_the_design_effect():
    differences = binary_differences(15, 5, 80)
    needed, clustered = (
        num_items_needed(differences, margin=0.0, alpha=0.05, design_effect=effect)
        for effect in (1.0, 3.0)
    )
    assert clustered == pytest.approx(3 * needed, abs=3)
