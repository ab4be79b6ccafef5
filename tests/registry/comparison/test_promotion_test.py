"""Promotion verdicts from evaluations, and their errors by simulation."""

import json

import numpy as np
import pytest
from scipy import stats

from registry.comparison.paired_estimate import estimate_difference
from registry.comparison.promotion_test import CostRatios, decide_promotion, judge_promotion
from registry.comparison.tested_difference import PromotionRule
from tests.registry.comparison.factories import paired_sample, write_evaluations

RULE = PromotionRule()
SAME_COSTS = CostRatios(flops_per_item=1.0, total_parameters=1.0, is_cheaper=False)
CHEAPER = CostRatios(flops_per_item=0.5, total_parameters=1.0, is_cheaper=True)


def scores(num_right, num_items=4000):
    return [1.0] * num_right + [0.0] * (num_items - num_right)


@pytest.fixture
def write(tmp_path):
    def write(name, num_right, **changes):
        right = num_right if isinstance(num_right, list) else scores(num_right)
        return write_evaluations(tmp_path, name, {0: right}, **changes)

    return write


def test_better_challenger_is_promoted(write):
    verdict = decide_promotion(write("new", 2400), write("old", 2200), [], RULE, 0)
    assert (verdict.verdict, verdict.is_promoted) == ("better", True)
    assert verdict.alpha_used == 0.025
    assert verdict.against_champion.difference == pytest.approx(0.05)
    assert verdict.against_champion.low == pytest.approx(verdict.against_champion.interval_95[0])
    assert verdict.against_champion.p_better < 0.025
    assert verdict.explanation.startswith("new_0 is better: +5.00 points against old_0 (+4.")
    assert json.loads(json.dumps(verdict.to_dict()))["costs"]["flops_per_item"] == 1


def test_equal_challenger_is_promoted_only_if_it_is_cheaper(write):
    champion = write("old", 2200)
    verdict = decide_promotion(write("new", 2200), champion, [], RULE, 0)
    assert (verdict.verdict, verdict.is_promoted) == ("undecided", False)
    assert "not worse by 1 points" in verdict.explanation
    assert "but undecided: it is not cheaper (1 times the FLOPs per item" in verdict.explanation
    cheap = write("cheap", 2200, flops_per_item=4e7)
    verdict = decide_promotion(cheap, champion, [], RULE, 0)
    assert (verdict.verdict, verdict.is_promoted) == ("cheaper and not worse", True)
    assert verdict.costs.flops_per_item == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("flops", "parameters", "is_cheaper"),
    [
        (4.7e7, 2000, True),
        (4.9e7, 2000, False),  # answers that are by chance a little shorter
        (5e7, 1800, True),
        (5.2e7, 100, False),  # FLOPs count first
        (4e7, 9000, True),
    ],
)
def test_flops_per_item_count_first_and_then_parameters(write, flops, parameters, is_cheaper):
    challenger = write("new", 2200, flops_per_item=flops, run={"total_parameters": parameters})
    verdict = decide_promotion(challenger, write("old", 2200), [], RULE, 0)
    assert verdict.costs.is_cheaper == verdict.is_promoted == is_cheaper


def test_worse_and_undecided_challengers_are_not_promoted(write):
    champion = write("old", 2200)
    verdict = decide_promotion(write("worse", 2000), champion, [], RULE, 0)
    assert verdict.verdict == "worse"
    other_items = write("other", scores(2190)[::-1], flops_per_item=1e7)
    verdict = decide_promotion(other_items, champion, [], RULE, 3)
    assert (verdict.verdict, verdict.alpha_used) == ("undecided", 0.05 / 20)
    gain = verdict.against_champion.decidable_difference
    assert f"a true gain of {100 * gain:.1f} points is decided" in verdict.explanation
    assert 0.03 < gain < 0.07


def test_margin_counts_against_every_version_promoted_before(write):
    """Two losses of 0.1 and 0.6 points are within a margin of 1 each, but not together."""
    best, champion = write("best", 2230), write("old", 2205)
    challenger = write("new", 2200, flops_per_item=1e7)
    assert decide_promotion(challenger, champion, [], RULE, 0).is_promoted
    verdict = decide_promotion(challenger, champion, [best, champion], RULE, 0)
    assert (verdict.verdict, verdict.is_promoted) == ("undecided", False)
    assert verdict.against_promoted.opponent == "best_0"
    assert "not shown to be within 1 points of a version promoted before" in verdict.explanation


def test_better_than_the_champion_is_undecided_if_an_earlier_version_was_better(write):
    best, champion = write("best", 2600), write("old", 2200)
    verdict = decide_promotion(write("new", 2400), champion, [best], RULE, 0)
    assert verdict.verdict == "undecided"
    assert verdict.against_champion.low > 0
    assert verdict.explanation.startswith("new_0 is better, ")


def test_seeds_are_replicates(tmp_path):
    """One seed is far above the champion; three seeds that vary as much show nothing."""
    old = write_evaluations(tmp_path, "old", {s: scores(2200) for s in range(3)})
    counts = {0: 2600, 1: 2250, 2: 2300}
    new = write_evaluations(tmp_path, "new", {s: scores(n) for s, n in counts.items()})
    assert decide_promotion(new[:1], old[:1], [], RULE, 0).verdict == "better"
    verdict = decide_promotion(new, old, [], RULE, 0)
    assert verdict.verdict == "undecided"
    assert verdict.against_champion.basis == "3 seeds and 4,000 items"
    assert verdict.explanation.startswith("new_0 (3 seeds) is undecided: ")


def draw_estimate(generator, difference, num_seeds, seed_std):
    """Draw the answers of two models to 20 clusters of 10 items, with their seeds' effects."""
    clusters = np.arange(200) // 10
    shared = np.sqrt(0.3) * generator.normal(0, 1, 20)[clusters]
    noise = shared + np.sqrt(0.7) * generator.normal(0, 1, (num_seeds, 200))
    seed_effects = generator.normal(0, seed_std, (num_seeds, 1))
    return estimate_difference(
        paired_sample(difference + 0.4 * noise + seed_effects, clusters=clusters)
    )


def judge(estimate, *, promoted=(), costs=SAME_COSTS, num_earlier_tests=0):
    return judge_promotion("new", ("old", estimate), promoted, costs, RULE, num_earlier_tests)


@pytest.mark.parametrize(("num_seeds", "seed_std"), [(1, 0.0), (3, 0.05)])
def test_equal_challengers_are_rarely_promoted_in_many_nights(num_seeds, seed_std):
    """Shortened; benchmarks/promotion_error.py has a year of nights."""
    generator = np.random.default_rng(0)
    num_years, num_nights = 80, 20
    num_false = sum(
        any(
            judge(
                draw_estimate(generator, 0.0, num_seeds, seed_std), num_earlier_tests=night
            ).is_promoted
            for night in range(num_nights)
        )
        for _ in range(num_years)
    )
    assert stats.binomtest(num_false, num_years, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(("num_seeds", "seed_std"), [(1, 0.0), (3, 0.05)])
def test_challengers_with_the_decidable_gain_are_promoted(num_seeds, seed_std):
    generator = np.random.default_rng(1)
    num_promoted = 0
    for _ in range(200):
        verdict = judge(draw_estimate(generator, 0.0, num_seeds, seed_std), num_earlier_tests=1)
        gain = verdict.against_champion.decidable_difference
        repeated = judge(draw_estimate(generator, gain, num_seeds, seed_std), num_earlier_tests=1)
        num_promoted += repeated.is_promoted
    assert stats.binomtest(num_promoted, 200, 0.8, alternative="less").pvalue > 0.01


def test_cheaper_challengers_beyond_the_margin_are_rarely_promoted():
    """The true loss is the margin: the boundary of non-inferiority."""
    generator = np.random.default_rng(2)
    num_promoted = sum(
        judge(draw_estimate(generator, -RULE.margin, 1, 0.0), costs=CHEAPER).is_promoted
        for _ in range(300)
    )
    assert stats.binomtest(num_promoted, 300, 0.025, alternative="greater").pvalue > 0.01
