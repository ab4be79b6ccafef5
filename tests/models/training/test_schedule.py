"""The learning rate, against the formulas."""

import math

import pytest

from models.training.params import OptimParams
from models.training.schedule import learning_rate


def test_learning_rate_linear_warms_up_and_decays():
    params = OptimParams(lr=1.0, warmup_steps=10, decay_fraction=0.5)
    rates = [learning_rate(step, 100, params) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "changes", [{"decay_fraction": 0.0}, {"schedule": "constant", "decay_fraction": 0.5}]
)
def test_learning_rate_without_decay_is_constant(changes):
    params = OptimParams(lr=1.0, warmup_steps=0, **changes)
    assert {learning_rate(step, 100, params) for step in range(100)} == {1.0}


def test_learning_rate_inverse_sqrt_peaks_at_lr():
    """T5: 1 / sqrt(max(n, k)), scaled to a peak of lr."""
    params = OptimParams(lr=1.0, warmup_steps=10, schedule="inverse_sqrt")
    assert learning_rate(4, 100, params) == pytest.approx(0.5)
    for step in (10, 40, 99):
        expected = (1 / math.sqrt(step + 1)) / (1 / math.sqrt(10))
        assert learning_rate(step, 100, params) == pytest.approx(expected)


def test_learning_rate_t5_is_constant_until_the_warmup_ends():
    """T5: 1 / sqrt(max(n, k)) with k = 10,000, a rate of 0.01 at first."""
    params = OptimParams(lr=0.01, warmup_steps=10_000, schedule="t5")
    for step in (0, 5_000, 9_999, 10_000, 40_000):
        expected = 1 / math.sqrt(max(step + 1, 10_000))
        assert learning_rate(step, 50_000, params) == pytest.approx(expected)
