"""Contrasts of several models against arithmetic by hand, and their coverage by simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from registry.comparison.paired_estimate import estimate_difference
from registry.comparison.pairing import pair_results
from registry.comparison.version_contrast import ContrastPart, common_seeds, pair_contrast
from registry.errors import NotComparable
from tests.registry.comparison.factories import paired_sample, write_evaluations

NUM_ITEMS = 30


@pytest.fixture
def write_scores(tmp_path):
    """Write the evaluations of models with random scores; returns results and scores by seed."""
    generator = np.random.default_rng(0)

    def write(name, seeds=(0, 1, 2), **options):
        scores = {seed: generator.integers(0, 2, NUM_ITEMS).astype(float) for seed in seeds}
        return write_evaluations(tmp_path, name, scores, **options), scores

    return write


def test_difference_of_differences_is_the_mean_of_item_and_seed_differences(write_scores):
    groups = {name: write_scores(name) for name in ("a2", "a1", "b2", "b1")}
    results = {name: group[0] for name, group in groups.items()}
    part = ContrastPart(
        plus=(results["a2"], results["b1"]), minus=(results["a1"], results["b2"]), tasks=("s/t",)
    )
    sample = pair_contrast([part])
    estimate = estimate_difference(sample)
    mean = {n: np.mean([g[1][seed] for seed in (0, 1, 2)], axis=0) for n, g in groups.items()}
    by_item = (mean["a2"] - mean["a1"]) - (mean["b2"] - mean["b1"])
    assert sample.item_differences == pytest.approx(by_item)
    assert estimate.difference == pytest.approx(by_item.mean())
    by_seed = [
        (groups["a2"][1][s] - groups["a1"][1][s] - groups["b2"][1][s] + groups["b1"][1][s]).mean()
        for s in (0, 1, 2)
    ]
    assert estimate.components[1].variance == pytest.approx(np.var(by_seed, ddof=1) / 3)
    assert estimate.components[1].degrees_of_freedom == 2
    assert (estimate.num_seeds_a, estimate.max_difference) == (3, 2)


def test_contrast_of_two_models_is_their_paired_difference(write_scores):
    (a, _), (b, _) = write_scores("a"), write_scores("b")
    contrast = estimate_difference(
        pair_contrast([ContrastPart(plus=(a,), minus=(b,), tasks=("s/t",))])
    )
    assert contrast.to_dict() == estimate_difference(pair_results(a, b)).to_dict()


def test_only_seeds_that_all_models_have_count(write_scores):
    (a, _), (b, _) = write_scores("a", seeds=(0, 1, 2)), write_scores("b", seeds=(2, 0, 5))
    part = ContrastPart(plus=(a,), minus=(b,), tasks=("s/t",))
    assert common_seeds([part]) == [0, 2]
    assert pair_contrast([part]).seeds_a == (0, 2)
    other, _ = write_scores("c", seeds=(7,))
    with pytest.raises(NotComparable, match="no common seed"):
        pair_contrast([ContrastPart(plus=(a,), minus=(other,), tasks=("s/t",))])


def test_parts_have_equal_shares_and_models_of_their_own(write_scores):
    groups = [write_scores(name) for name in ("a", "b", "c", "d")]
    first = ContrastPart(plus=(groups[0][0],), minus=(groups[1][0],), tasks=("s/t",))
    second = ContrastPart(plus=(groups[2][0],), minus=(groups[3][0],), tasks=("s/t",))
    means = [np.mean(list(scores.values())) for _, scores in groups]
    estimate = estimate_difference(pair_contrast([first, second]))
    assert estimate.difference == pytest.approx((means[0] - means[1] + means[2] - means[3]) / 2)


def test_items_of_a_cluster_are_a_single_observation_in_all_parts(write_scores):
    clusters = [f"person {number // 3}" for number in range(NUM_ITEMS)]
    a, b = (write_scores(name, clusters=clusters)[0] for name in ("a", "b"))
    part = ContrastPart(plus=(a,), minus=(b,), tasks=("s/t",))
    assert estimate_difference(pair_contrast([part, part])).num_clusters == NUM_ITEMS / 3


def test_models_on_other_prompts_are_rejected(tmp_path, write_scores):
    a, _ = write_scores("a")
    b = write_evaluations(tmp_path, "b", {s: [1.0] * (NUM_ITEMS - 1) for s in (0, 1, 2)})
    with pytest.raises(NotComparable, match="not evaluated alike"):
        pair_contrast([ContrastPart(plus=(a,), minus=(b,), tasks=("s/t",))])


def test_bounds_of_a_contrast_of_four_models_reach_beyond_1():
    sample = replace(paired_sample([[2.0] * 99 + [1.0], [2.0] * 100]), max_difference=2.0)
    low, high = estimate_difference(sample).interval()
    assert 1 < low < high == 2
    without_differences = replace(sample, scores_a_SN=sample.scores_b_SN)
    assert estimate_difference(without_differences).unseen_event == pytest.approx(2 / 100)


@pytest.mark.parametrize(("num_seeds", "seed_std"), [(2, 0.1), (3, 0.02), (3, 0.15)])
def test_coverage_of_differences_of_differences_is_at_least_nominal(num_seeds, seed_std):
    """Right and wrong answers of four models; each has seed effects, items share difficulties."""
    generator = np.random.default_rng(1)
    num_covered, num_simulations, num_items = 0, 300, 120
    base = np.array([0.5, 0.2, 0.3, 0.2])
    sides = np.array([1.0, -1.0, -1.0, 1.0])
    # A cluster is correlated through a logistic shift, so that the true contrast is a mean over it.
    grid = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    for _ in range(num_simulations):
        difficulty = generator.normal(0, 1, num_items // 4).repeat(4)
        effects = generator.normal(0, seed_std, (4, num_seeds))
        logits = np.log(base / (1 - base))[:, None, None] + effects[:, :, None] / 0.2
        chances = 1 / (1 + np.exp(-(logits + 0.8 * difficulty)))
        scores = (generator.random(chances.shape) < chances).astype(float)
        sample = paired_sample(
            scores[0] + scores[3], scores[1] + scores[2], clusters=np.arange(num_items) // 4
        )
        sample = replace(sample, max_difference=2.0)
        low, high = estimate_difference(sample).interval()
        spread = math.sqrt(0.8**2 + (seed_std / 0.2) ** 2)
        means = (1 / (1 + np.exp(-(np.log(base / (1 - base))[:, None] + spread * grid)))).mean(1)
        num_covered += low <= sides @ means <= high
    assert stats.binomtest(num_covered, num_simulations, 0.95, alternative="less").pvalue > 0.01
