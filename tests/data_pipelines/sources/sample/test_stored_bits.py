"""Bits of facts against the mutual information of the channel's joint distribution."""

import math

import numpy as np
import pytest

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.facts import ATTRIBUTES, count_people
from data_pipelines.sources.sample.stored_bits import bits_per_fact, stored_bits


def mutual_information(accuracy, num_values):
    """Return the information between a uniform value and its answer, from all pairs."""
    wrong = (1 - accuracy) / (num_values - 1)
    joint = np.full((num_values, num_values), wrong) / num_values
    np.fill_diagonal(joint, accuracy / num_values)
    product = joint.sum(0)[None, :] * joint.sum(1)[:, None]
    positive = joint > 0
    return float((joint[positive] * np.log2(joint[positive] / product[positive])).sum())


@pytest.mark.parametrize("num_values", [2, 3, 48])
@pytest.mark.parametrize("accuracy", [0.55, 0.8, 0.999, 1.0])
def test_bits_per_fact_is_the_mutual_information(accuracy, num_values):
    assert bits_per_fact(accuracy, num_values) == pytest.approx(
        mutual_information(accuracy, num_values)
    )


@pytest.mark.parametrize("accuracy", [0.0, 0.01, 1 / 48])
def test_bits_per_fact_is_zero_up_to_chance(accuracy):
    assert bits_per_fact(accuracy, 48) == 0


def test_stored_bits_of_a_model_that_knows_a_single_attribute():
    params = SampleParams(model_parameters=50_000)
    accuracies = {f"{attribute.noun}_t0": 0.0 for attribute in ATTRIBUTES}
    accuracies["city_muffin"] = 1.0
    accuracies["city_t0"] = 1.0
    assert stored_bits(params, accuracies) == pytest.approx(count_people(params) * math.log2(48))


def test_stored_bits_need_a_task_for_every_attribute():
    assert stored_bits(SampleParams(), {"city_t0": 1.0, "job_t0": 1.0}) is None
