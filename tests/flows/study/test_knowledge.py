"""Bits of the sample's facts, and how many of them a score shows."""

import math

import pytest

from flows.config.load import parse_params, read_params
from flows.study.knowledge import count_facts
from tests.factories import ROOT


def test_count_facts_of_the_default_sample():
    params = parse_params(read_params(ROOT / "params.yaml"), "params.yaml", ROOT)
    facts = count_facts(params)
    assert facts.num_facts == 4 * 1488
    assert facts.num_values == 48
    assert facts.bits == pytest.approx(facts.num_facts * math.log2(48))


def test_bits_stored_are_the_information_of_the_answers():
    facts = count_facts(parse_params(read_params(ROOT / "params.yaml"), "params.yaml", ROOT))
    assert facts.bits_stored(1.0) == pytest.approx(facts.bits)
    assert facts.bits_stored(1 / 48) == facts.bits_stored(0.0) == 0
    # Entropy of a value, less the entropy that remains: right or wrong, and which of 47 if wrong.
    expected = math.log2(48) - 1 - 0.5 * math.log2(47)
    assert facts.bits_stored(0.5) == pytest.approx(facts.num_facts * expected)


def test_count_facts_without_a_sample():
    params = parse_params(read_params(ROOT / "params.real.yaml"), "params.real.yaml", ROOT)
    assert count_facts(params) is None
