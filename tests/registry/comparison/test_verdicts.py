"""Verdicts of one and of several comparisons."""

import math

import numpy as np
import pytest

from registry.comparison.verdicts import Contrast, decide, judge
from tests.registry.comparison.factories import binary_differences, paired_sample


@pytest.mark.parametrize(
    ("difference", "p_value", "low", "verdict"),
    [
        (0.1, 0.01, 0.02, "better"),
        (-0.1, 0.01, -0.2, "worse"),
        (0.0, 0.9, -0.005, "not worse"),
        (0.0, 0.9, -0.02, "undecided"),
    ],
)
def test_decide_uses_significance_and_then_the_margin(difference, p_value, low, verdict):
    decided = decide(difference=difference, p_value=p_value, low=low, margin=0.01, alpha=0.05)
    assert decided == verdict


def binary_contrast(num_a_only, num_b_only, num_equal):
    sample = paired_sample(binary_differences(num_a_only, num_b_only, num_equal))
    return Contrast(sample=sample, is_graded=False)


def test_judge_corrects_for_the_number_of_contrasts():
    contrast = binary_contrast(16, 4, 80)
    (single,) = judge([contrast], margin=0.01, alpha=0.05)
    assert single.p_corrected == single.p_value < 0.05
    assert (single.verdict, single.decidable_difference) == ("better", None)
    several = judge([contrast] * 10, margin=0.03, alpha=0.05)
    assert {outcome.verdict for outcome in several} == {"not worse"}
    assert several[0].p_corrected == pytest.approx(10 * single.p_value)
    assert (several[0].low, several[0].high) == (single.low, single.high)


def test_judge_equal_answers_of_few_items_are_not_equivalent():
    (outcome,) = judge([binary_contrast(0, 0, 20)], margin=0.01, alpha=0.05)
    assert (outcome.difference, outcome.verdict) == (0, "undecided")
    assert outcome.low == -outcome.high == pytest.approx(math.log(0.025) / 20)


@pytest.mark.parametrize(
    ("changes", "is_graded", "test"),
    [
        ({}, False, "mcnemar"),
        ({}, True, "permutation"),
        ({"clusters": [0] * 40}, False, "mcnemar"),  # one family is the task itself
        ({"clusters": np.arange(40) // 4}, False, "t"),
        ({"scores_b": np.zeros((2, 40))}, False, "t"),
    ],
)
def test_exact_tests_are_used_for_independent_items_of_a_seed(changes, is_graded, test):
    scores = {"scores_a": binary_differences(12, 5, 23), **changes}
    contrast = Contrast(sample=paired_sample(**scores), is_graded=is_graded)
    assert contrast.test == test
    (outcome,) = judge([contrast], margin=0.0, alpha=0.05)
    assert outcome.test == test
    assert 0.05 < outcome.p_value < 1


def test_clusters_widen_the_interval_and_the_number_of_needed_items():
    """Whole clusters of 8 items gain or lose."""
    differences = np.repeat(binary_differences(6, 3, 11), 8)
    contrasts = [
        Contrast(sample=paired_sample(differences, clusters=clusters), is_graded=False)
        for clusters in (np.arange(160), np.arange(160) // 8)
    ]
    alone, clustered = (judge([contrast], margin=0.0, alpha=0.05)[0] for contrast in contrasts)
    assert clustered.high - clustered.low > 2.5 * (alone.high - alone.low)
    assert (alone.verdict, clustered.verdict) == ("better", "undecided")
    assert clustered.p_value > 0.2
    independent = judge([binary_contrast(6, 3, 11)], margin=0.0, alpha=0.05)[0]
    assert clustered.num_items_needed == pytest.approx(8 * independent.num_items_needed, rel=0.05)
    assert clustered.decidable_difference is None
    assert clustered.num_clusters == 20
