"""Averages and weights, against the standard library and weighted sums."""

import math
import random
import statistics
from fractions import Fraction

import pytest

from models.evaluation.averages import TaskAverage, mean_and_standard_error, normalised_score


@pytest.mark.parametrize("values", [[True] * 7 + [False] * 13, [0.1, 0.5, 0.9, 0.9]])
def test_mean_and_standard_error_equals_the_standard_library(values):
    mean, standard_error = mean_and_standard_error(values)
    assert mean == pytest.approx(statistics.mean(map(float, values)))
    deviation = statistics.stdev(map(float, values))
    assert standard_error == pytest.approx(deviation / math.sqrt(len(values)))


def test_mean_and_standard_error_of_no_scores_is_rejected():
    with pytest.raises(ValueError, match="at least one item"):
        mean_and_standard_error([])


def test_normalised_score_below_chance_is_negative():
    assert normalised_score(0.1, 0.25) == pytest.approx(-20)


def test_task_average_weights_count_units_and_their_tasks_alike():
    average = TaskAverage.over(["x", "y", "x"])
    assert average.weights == [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)]


def test_task_average_equals_the_weighted_sum():
    generator = random.Random(0)
    for num_tasks in range(1, 40):
        average = TaskAverage.over([generator.randrange(8) for _ in range(num_tasks)])
        values = [generator.random() for _ in range(num_tasks)]
        weights = [float(weight) for weight in average.weights]
        weighted_sum = sum(w * value for w, value in zip(weights, values, strict=True))
        assert sum(average.weights) == 1
        assert average.mean(values) == pytest.approx(weighted_sum)
        weighted_error = math.hypot(*(w * v for w, v in zip(weights, values, strict=True)))
        assert average.standard_error(values) == pytest.approx(weighted_error)


def test_task_average_of_single_task_units_is_the_plain_mean():
    average = TaskAverage.over(["x", "y"])
    assert average.mean([0.2, 0.6]) == pytest.approx(0.4)
    assert average.standard_error([0.03, 0.04]) == pytest.approx(0.025)
