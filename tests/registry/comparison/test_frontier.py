"""The Pareto frontier against brute force."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm

from registry.comparison.frontier import compute_frontier, non_dominated
from registry.comparison.version_costs import cost_of
from registry.errors import InvalidQuery, UnknownCost
from registry.speed_schema import SpeedSchema
from tests.registry.comparison.factories import samples_of
from tests.registry.factories import (
    speed_record,
)

NUM_ITEMS = 200


def test_frontier_agrees_with_brute_force(version):
    versions = [version(f"m{i}", flops * 1e9, share) for i, (flops, share) in enumerate(
        [(1, 0.3), (2, 0.5), (2, 0.4), (3, 0.45), (4, 0.8), (0.5, 0.1)]
    )]  # fmt: skip
    on_frontier = {
        p.name: p.on_frontier for p in compute_frontier(versions, "token", samples_of).points
    }

    def cost_and_error(info):
        return info.run_record.flops_per_token, 1 - info.evaluation.accuracy

    for info in versions:
        cost, error = cost_and_error(info)
        is_dominated = any(
            other_cost <= cost
            and other_error <= error
            and (other_cost, other_error) != (cost, error)
            for other_cost, other_error in map(cost_and_error, versions)
        )
        assert on_frontier[info.name] == (not is_dominated)


def test_frontier_probability_follows_from_the_difference_of_two_versions(version):
    versions = [
        version("cheap", 1e9, 0.5), version("costly", 2e9, 0.5, seed=7), version("bad", 3e9, 0.1),
    ]  # fmt: skip
    points = {point.name: point for point in compute_frontier(versions, "token", samples_of).points}
    assert points["cheap"].probability == 1  # no version is cheaper
    assert points["bad"].probability == 0
    # Two models with 2 * NUM_ITEMS answers each: the probability that the costly one is better.
    difference = points["costly"].accuracy - points["cheap"].accuracy
    standard_error = (2 * 0.25 / (2 * NUM_ITEMS)) ** 0.5
    expected = norm.cdf(difference / standard_error)
    assert points["costly"].probability == pytest.approx(expected, abs=0.06)


def test_dense_partner_is_the_closest_in_cost(version):
    small, equal = version("small", 1e9, 0.4), version("equal", 2e9, 0.5)
    moe = version("moe", 2.1e9, 0.7, is_moe=True)
    (partner,) = compute_frontier([small, equal, moe], "token", samples_of).dense_partners
    assert (partner.moe, partner.dense, partner.equal_cost) == ("moe", "equal", True)
    assert partner.cost_ratio == pytest.approx(1.05)
    assert partner.low < partner.difference < partner.high
    cheaper = dataclasses.replace(
        equal, run_record=equal.run_record.model_copy(update={"flops_per_token": 1e9})
    )
    (partner,) = compute_frontier([small, cheaper, moe], "token", samples_of).dense_partners
    assert partner.equal_cost is False


def test_cost_of_unknown_name_is_rejected(version):
    with pytest.raises(UnknownCost, match="unknown cost 'tokens'; expected one of token, item"):
        cost_of(version("a", 1e9, 0.5), "tokens")
    with pytest.raises(UnknownCost, match="unknown cost 'tokens'"):
        compute_frontier([], "tokens", samples_of)


def test_frontier_without_samples_uses_standard_errors(version):
    versions = [version("a", 1e9, 0.5), version("b", 2e9, 0.6, has_samples=False)]
    frontier = compute_frontier(versions, "token", samples_of)
    assert frontier.paired is False
    assert {point.name: point.probability for point in frontier.points}["a"] == 1
    assert compute_frontier(versions[:1], "token", samples_of).paired is True


def test_frontier_training_cost_includes_the_runs_before(version):
    base = version("base", 1e9, 0.4, training_flops=4e12)
    tuned = version("tuned", 1e9, 0.5, training_flops=1e12, cumulative_training_flops=5e12)
    assert [
        point.cost for point in compute_frontier([base, tuned], "training", samples_of).points
    ] == [4, 5]
    assert cost_of(tuned, "training") == 5


def test_dense_of_another_recipe_is_no_partner(version):
    dense = version("dense", 1e9, 0.5, steps=800)
    moe = version("moe", 1e9, 0.7, is_moe=True, steps=200)
    frontier = compute_frontier([dense, moe], "token", samples_of)
    assert frontier.dense_partners == ()
    assert frontier.without_partner == ("moe v2",)


def test_frontier_standard_error_is_over_clusters(version, tmp_path):
    info = version("a", 1e9, 0.5)
    (before,) = compute_frontier([info], "token", samples_of).points
    path = samples_of(info)
    rows = pq.read_table(path).to_pylist()
    rows.sort(key=lambda row: (row["task"], row["score"]))
    rows = [{**row, "cluster": str(i // 10)} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    (after,) = compute_frontier([info], "token", samples_of).points
    assert before.standard_error == pytest.approx((0.25 / 400) ** 0.5, rel=0.02)
    assert after.standard_error == pytest.approx(before.standard_error * 10**0.5, rel=0.1)


def test_frontier_of_a_suite_or_the_normalised_average_has_its_values(version):
    versions = [version("a", 1e9, 0.5), version("b", 2e9, 0.7)]
    suite = compute_frontier(versions, "token", samples_of, score="suite.s")
    assert suite.score_names == ("score", "normalised", "suite.s")
    for point, info in zip(suite.points, versions, strict=True):
        assert point.accuracy == pytest.approx(info.evaluation.suites[0].accuracy)
    normalised = compute_frontier(versions, "token", samples_of, score="normalised")
    for point, info in zip(normalised.points, versions, strict=True):
        assert 100 * point.accuracy == pytest.approx(info.evaluation.normalised)
        # A point of accuracy is 1 / (1 - 0.25) points above chance.
        error = info.evaluation.accuracy * (1 - info.evaluation.accuracy) / (2 * NUM_ITEMS)
        assert point.standard_error == pytest.approx(error**0.5 / 0.75, rel=0.02)
    with pytest.raises(InvalidQuery, match="'mmlu' is unknown; expected one of score, normalised"):
        compute_frontier(versions, "token", samples_of, score="mmlu")


def test_frontier_compares_each_model_with_the_baseline(version):
    versions = [version("a", 1e9, 0.3), version("b", 2e9, 0.6, seed=5), version("c", 3e9, 0.5)]
    frontier = compute_frontier(versions, "token", samples_of, baseline=2)
    assert frontier.baseline == 2
    first, second, _ = frontier.points
    assert second.against_baseline is None
    assert first.against_baseline.difference == pytest.approx(first.accuracy - second.accuracy)
    assert first.against_baseline.high < 0
    assert all(
        point.against_baseline is None
        for point in compute_frontier(versions, "token", samples_of).points
    )
    with pytest.raises(InvalidQuery, match="version 9 is not among the points; expected 1, 2, 3"):
        compute_frontier(versions, "token", samples_of, baseline=9)


def test_frontier_models_that_no_test_tells_apart_are_tied(version):
    versions = [version("best", 1e9, 0.8), version("equal", 2e9, 0.78, seed=3),
                version("bad", 3e9, 0.4), version("too", 4e9, 0.42, seed=3)]  # fmt: skip
    points = compute_frontier(versions, "token", samples_of).points
    assert [point.tie_group for point in points] == [1, 1, 2, 2]


def test_frontier_names_the_model_that_training_started_from(version):
    base = version("base", 1e9, 0.4)
    step = base.run_record.training_chain.runs[0].model_copy(update={"name": "tuned"})
    tuned = version("tuned", 1e9, 0.5)
    chain = base.run_record.training_chain.model_copy(
        update={"runs": (*base.run_record.training_chain.runs, step)}
    )
    tuned = dataclasses.replace(
        tuned, run_record=tuned.run_record.model_copy(update={"training_chain": chain})
    )
    points = compute_frontier([base, tuned], "token", samples_of).points
    assert {point.name: point.start_version for point in points} == {"base": None, "tuned": 1}


def test_dense_partner_has_the_ratio_of_every_cost(version):
    dense = version("dense", 2e9, 0.5, speed=speed_record(0.1))
    moe = version("moe", 2e9, 0.6, is_moe=True, total_parameters=5000, speed=speed_record(0.15))
    (partner,) = compute_frontier([dense, moe], "token", samples_of).dense_partners
    assert partner.cost_ratios == {
        "token": 1, "item": 1, "time": pytest.approx(1.5), "memory": 2.5, "training": 1,
    }  # fmt: skip
    other = dataclasses.replace(
        moe, speed=SpeedSchema.model_validate(speed_record(0.15, threads=8))
    )
    (partner,) = compute_frontier([dense, other], "token", samples_of).dense_partners
    assert partner.cost_ratios["time"] is None


def test_non_dominated_agrees_with_brute_force_and_needs_little_memory():
    generator = np.random.default_rng(0)
    costs = np.sort(generator.integers(0, 9, 40)).astype(float)
    scores = generator.integers(0, 9, (30, 40)).astype(float)
    for row, result in zip(scores, non_dominated(costs, scores), strict=True):
        expected = [
            not any(
                cost <= costs[i] and score >= row[i] and (cost, score) != (costs[i], row[i])
                for cost, score in zip(costs, row, strict=True)
            )
            for i in range(40)
        ]
        assert list(result) == expected
    many = np.arange(20_000.0)
    assert non_dominated(many, many[None, :]).all()  # 3.2 GB with a matrix of pairs
