"""The first champion: above chance, and not worse than the cheapest version."""

import json

import pytest

from registry.comparison.first_champion import decide_first_champion
from registry.comparison.tested_difference import PromotionRule
from tests.registry.comparison.factories import write_evaluations


@pytest.fixture
def write(tmp_path):
    def write(name, num_right, num_items=2000):
        scores = [1.0] * num_right + [0.0] * (num_items - num_right)
        return write_evaluations(tmp_path, name, {0: scores})

    return write


@pytest.mark.parametrize(
    ("num_right", "num_baseline_right", "is_promoted"),
    [(1000, None, True), (510, None, False), (1000, 1000, True), (1000, 1060, False)],
)
def test_first_champion_is_above_chance_and_not_worse_than_the_baseline(
    write, num_right, num_baseline_right, is_promoted
):
    """Random answers are right on 500 items."""
    baseline = write("cheap", num_baseline_right) if num_baseline_right else None
    verdict = decide_first_champion(write("new", num_right), baseline, PromotionRule(), 0)
    assert verdict.is_promoted == is_promoted
    assert verdict.against_chance.opponent == "random answers"
    assert verdict.against_chance.num_opponent_seeds == 0
    assert (verdict.against_baseline is None) == (baseline is None)
    assert json.loads(json.dumps(verdict.to_dict()))["alpha_used"] == 0.025
    word = "is not shown to be above chance" if num_right == 510 else "is above chance"
    assert word in verdict.explanation


def test_level_of_the_first_champion_falls_with_each_candidate(write):
    candidate = write("new", 545)
    assert decide_first_champion(candidate, None, PromotionRule(), 0).is_promoted
    assert not decide_first_champion(candidate, None, PromotionRule(), 20).is_promoted
