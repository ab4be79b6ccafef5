"""Information that a model holds about the facts of the sample, estimated from its answers.

A fact is one of N equally likely values. If an answer is right with probability p, and otherwise
any other value with equal probability, it has

    log2(N) + p log2(p) + (1 - p) log2((1 - p) / (N - 1))

bits of information about the fact (Cover & Thomas, Elements of Information Theory, section 2.10: a
symmetric channel with N inputs). That is a lower bound on what the weights hold: a model may know
more than its answers show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.facts import ATTRIBUTES, count_people


def bits_per_fact(accuracy: float, num_values: int) -> float:
    """Return the information of an answer about its fact, in bits; 0 at the level of chance.

    Args:
        accuracy: share of right answers, 0 to 1.
        num_values: number of equally likely values, at least 2.
    """
    if accuracy <= 1 / num_values:
        return 0.0
    wrong = 1 - accuracy
    bits = math.log2(num_values) + accuracy * math.log2(accuracy)
    return bits + (wrong * math.log2(wrong / (num_values - 1)) if wrong else 0.0)


def stored_bits(params: SampleParams, accuracy_by_task: Mapping[str, float]) -> float | None:
    """Estimate the bits of all facts of the sample that a model holds.

    The people that the tasks ask about stand for all people.

    Args:
        params: the sample.
        accuracy_by_task: accuracy of the tasks of `sample_knowledge`, by name without the suite.

    Returns:
        The bits; None if there is an attribute that no task asks for.
    """
    total = 0.0
    for attribute in ATTRIBUTES:
        tasks = [a for task, a in accuracy_by_task.items() if task.startswith(attribute.noun + "_")]
        if not tasks:
            return None
        accuracy = sum(tasks) / len(tasks)
        total += count_people(params) * bits_per_fact(accuracy, len(attribute.values))
    return total
