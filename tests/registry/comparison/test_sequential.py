"""Sequential verdicts: the capital by brute force, and the error under optional stopping."""

import math

import numpy as np
import pytest
from scipy import stats

from registry.comparison.sequential import (
    GUESS_SHARES,
    GUESSES,
    LARGEST_BET,
    judge_sequentially,
)
from tests.registry.comparison.factories import binary_differences, paired_sample

MARGIN = 0.01


def judge(sample, seed=0):
    return judge_sequentially(sample, margin=MARGIN, alpha=0.05, seed=seed)


def draw(generator, difference, num_items=600, share=0.2):
    uniform = generator.random(num_items)
    num_a, num_b = (share + difference) / 2, (share - difference) / 2
    return (uniform < num_a).astype(float) - ((uniform >= num_a) & (uniform < num_a + num_b))


def first_clear(values, null):
    """Play the game item by item for each guess."""
    capital = list(GUESS_SHARES)
    weight, square = 1.0, 0.25
    for number, value in enumerate(values, start=1):
        gain = value - null
        for j, guess in enumerate(GUESSES):
            bet = min(guess * weight / square, LARGEST_BET / (1 + null))
            capital[j] *= 1 + bet * gain
        weight, square = weight + 1, square + gain**2
        if sum(capital) >= 2 / 0.05:
            return number
    return None


def test_verdict_is_clear_when_the_game_is_won():
    values = draw(np.random.default_rng(0), 0.12)
    order = np.random.default_rng(0).permutation(len(values))
    outcome = judge(paired_sample(values))
    assert outcome.better_after == first_clear(values[order], 0.0)
    assert outcome.not_worse_after == first_clear(values[order], -MARGIN)
    assert outcome.worse_after is None
    assert outcome.verdict == "better"
    assert outcome.not_worse_after <= outcome.better_after == outcome.num_items_used < 600
    assert outcome.low == pytest.approx(0, abs=0.01)


def test_swapped_sides_swap_the_verdict():
    values = draw(np.random.default_rng(1), 0.12)
    outcome, swapped = judge(paired_sample(values)), judge(paired_sample(-values))
    assert (outcome.verdict, swapped.verdict) == ("better", "worse")
    assert swapped.worse_after == outcome.better_after
    assert (swapped.low, swapped.high) == (
        pytest.approx(-outcome.high),
        pytest.approx(-outcome.low),
    )


def test_equal_answers_become_not_worse_after_many_items():
    outcome = judge(paired_sample(np.zeros(3000)))
    assert (outcome.verdict, outcome.num_items) == ("not worse", 3000)
    # Losses of the margin would be seen with probability 1 - 0.025 after this number of items.
    assert outcome.not_worse_after > math.log(0.025) / math.log(1 - MARGIN)
    few = judge(paired_sample(np.zeros(100)))
    assert (few.verdict, few.num_items_used) == ("undecided", 100)
    assert few.low < -0.02


def test_clusters_are_taken_at_once():
    values = np.repeat(binary_differences(30, 10, 60), 6)
    alone = judge(paired_sample(values))
    clustered = judge(paired_sample(values, clusters=np.arange(600) // 6))
    assert clustered.num_items_used % 6 == 0
    assert clustered.num_items_used > 2 * alone.num_items_used
    family = paired_sample(values, clusters=np.zeros(600, dtype=int))
    assert judge(family).num_items_used == alone.num_items_used


@pytest.mark.parametrize("difference", [0.0, -MARGIN])
def test_false_verdicts_under_optional_stopping_are_rare(difference):
    """Shortened; benchmarks/sequential_error.py has clusters and weights, too."""
    generator = np.random.default_rng(2)
    num_simulations = 200
    outcomes = [judge(paired_sample(draw(generator, difference))) for _ in range(num_simulations)]
    if difference == 0:
        num_false = sum(o.better_after is not None or o.worse_after is not None for o in outcomes)
    else:
        num_false = sum(o.not_worse_after is not None for o in outcomes)
    assert stats.binomtest(num_false, num_simulations, 0.05, alternative="greater").pvalue > 0.01
    covered = [outcome.low <= difference <= outcome.high for outcome in outcomes]
    assert np.mean(covered) > 0.93
