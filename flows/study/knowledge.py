"""Facts of the generated sample, and the bits of them that a model has stored."""

from __future__ import annotations

import math
from dataclasses import dataclass

from data_pipelines.sources.sample.facts import ATTRIBUTES, BITS_PER_PERSON, count_people
from data_pipelines.sources.sample.stored_bits import bits_per_fact
from flows.config.schema import Params

SUITE = "sample_knowledge"
"""Suite whose accuracy is the share of facts that a model knows."""


@dataclass(frozen=True, kw_only=True)
class FactCounts:
    """Facts that the pre-training text states."""

    num_facts: int
    num_values: int
    """Values of an attribute, all equally probable."""
    bits: float
    """Entropy of all facts."""

    def bits_stored(self, accuracy: float) -> float:
        """Return the information of a model's answers about all facts, in bits.

        Args:
            accuracy: share of right answers to questions for facts.
        """
        return self.num_facts * bits_per_fact(accuracy, self.num_values)


def count_facts(params: Params) -> FactCounts | None:
    """Return the facts of the sample; None without a sample."""
    sample = params.data_pipelines.fetch.sample
    if sample is None:
        return None
    num_people = count_people(sample)
    bits_per_fact = BITS_PER_PERSON / len(ATTRIBUTES)
    return FactCounts(
        num_facts=num_people * len(ATTRIBUTES),
        num_values=round(math.exp2(bits_per_fact)),
        bits=num_people * BITS_PER_PERSON,
    )
