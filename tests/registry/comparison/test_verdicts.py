"""Verdicts of one and of several comparisons."""

import numpy as np
import pytest

from registry.comparison.intervals import Stratum
from registry.comparison.verdicts import Contrast, decide, judge
from tests.registry.comparison.factories import binary_differences


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


def test_judge_corrects_for_the_number_of_contrasts():
    contrast = Contrast(
        strata=(Stratum(differences=binary_differences(16, 4, 80)),), test="mcnemar"
    )
    (single,) = judge([contrast], margin=0.01, alpha=0.05)
    assert single.p_corrected == single.p_value < 0.05
    assert single.verdict == "better"
    several = judge([contrast] * 10, margin=0.01, alpha=0.05)
    assert {outcome.verdict for outcome in several} == {"not worse"}
    assert several[0].p_corrected == pytest.approx(10 * single.p_value)
    assert (several[0].low, several[0].high) == (single.low, single.high)


def test_judge_equal_answers_of_few_items_are_not_equivalent():
    contrast = Contrast(strata=(Stratum(differences=np.zeros(20)),), test="mcnemar")
    (outcome,) = judge([contrast], margin=0.01, alpha=0.05)
    assert (outcome.low, outcome.high, outcome.verdict) == (0, 0, "undecided")
