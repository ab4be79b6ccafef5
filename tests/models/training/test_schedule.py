"""The learning rate, against the formulas."""

import math

import pytest

from models.training.params import OptimParams
from models.training.schedule import learning_rate


def test_schedule():
    params = OptimParams(lr=1.0, warmup_steps=10, decay_fraction=0.5)
    rates = [learning_rate(step, 100, params) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)
    for constant in ({"decay_fraction": 0.0}, {"schedule": "constant", "decay_fraction": 0.5}):
        flat = OptimParams(lr=1.0, warmup_steps=0, **constant)
        assert {learning_rate(s, 100, flat) for s in range(100)} == {1.0}
    # T5: 1 / sqrt(max(n, k)), here with its highest value at lr.
    root = OptimParams(lr=1.0, warmup_steps=10, schedule="inverse_sqrt")
    assert learning_rate(4, 100, root) == pytest.approx(0.5)
    for step in (10, 40, 99):
        expected = (1 / math.sqrt(step + 1)) / (1 / math.sqrt(10))
        assert learning_rate(step, 100, root) == pytest.approx(expected)
