"""Levels of the tests against a champion."""

import pytest

from registry.comparison.alpha_spending import spent_alpha


def test_levels_fall_and_sum_to_alpha():
    levels = [spent_alpha(0.05, n) for n in range(100_000)]
    assert levels[0] == pytest.approx(0.025)
    assert levels == sorted(levels, reverse=True)
    assert sum(levels) < 0.05
    assert sum(levels) == pytest.approx(0.05, rel=1e-4)
