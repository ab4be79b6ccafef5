"""Which versions the frontier compares: item sets, replicates, and what it excludes."""

import dataclasses

import numpy as np
import pytest

from registry.comparison.frontier import compute_frontier
from registry.errors import InvalidQuery
from registry.tables import CHAMPION
from tests.registry.comparison.factories import samples_of
from tests.registry.factories import (
    speed_record,
)


def test_frontier_excludes_versions_of_other_items_and_unknown_cost(version):
    old = version("old", 1e9, 0.9, file_sha256="c" * 64)
    new = version("new", 1e9, 0.5, speed=speed_record(0.25))
    frontier = compute_frontier([old, new], "time", samples_of)
    assert [point.name for point in frontier.points] == ["new"]
    assert frontier.points[0].cost == 250
    assert frontier.to_dict()["excluded"] == (
        {"name": "old", "version": old.version, "reason": "evaluated on other items"},
    )
    unmeasured = version("unmeasured", 1e9, 0.9)
    (excluded,) = compute_frontier([new, unmeasured], "time", samples_of).excluded
    assert excluded.reason == "milliseconds per answered item not measured"
    assert compute_frontier([], "token", samples_of).points == ()


def test_frontier_of_time_excludes_versions_that_were_not_timed_alike(version):
    new = version("new", 1e9, 0.5, speed=speed_record(0.25))
    busy = speed_record(
        None, fastest=None, slowest=None, num_passes=0, reason="other processes used 1.4 CPUs"
    )
    versions = [
        version("busy", 1e9, 0.5, speed=busy),
        version("threads", 1e9, 0.5, speed=speed_record(0.1, threads=2)),
        version("gpu", 1e9, 0.5, speed=speed_record(0.1, device="cuda", processor="H100")),
        dataclasses.replace(new, version=9),
    ]
    frontier = compute_frontier(versions, "time", samples_of)
    assert [point.name for point in frontier.points] == ["new"]
    reasons = {excluded.name: excluded.reason for excluded in frontier.excluded}
    assert reasons["busy"].endswith("not measured: other processes used 1.4 CPUs")
    assert reasons["threads"] == reasons["gpu"]
    assert reasons["gpu"].startswith("timed on another device")


def test_frontier_excludes_versions_that_were_evaluated_in_another_precision(version):
    versions = [
        version("float32_gpu", 1e9, 0.5, evaluation={"device": "cuda"}),
        version("bfloat16", 1e9, 0.9, evaluation={"device": "cuda", "precision": "bfloat16"}),
        version("new", 1e9, 0.4),
    ]
    frontier = compute_frontier(versions, "token", samples_of)
    assert {point.name for point in frontier.points} == {"float32_gpu", "new"}
    (excluded,) = frontier.excluded
    assert (excluded.name, excluded.reason) == ("bfloat16", "evaluated in bfloat16 on cuda")


def test_frontier_excludes_versions_of_unknown_training_cost(version):
    base = version("base", 1e9, 0.4)
    imported = version("imported", 1e9, 0.5, cumulative_training_flops=None)
    frontier = compute_frontier([base, imported], "training", samples_of)
    assert [point.name for point in frontier.points] == ["base"]
    (excluded,) = frontier.excluded
    assert (excluded.name, excluded.version) == ("imported", 2)
    assert "unknown, because it starts from weights of unknown cost" in excluded.reason
    assert len(compute_frontier([base, imported], "token", samples_of).points) == 2


def test_frontier_contains_the_champion_beside_a_newer_version_of_its_run(version):
    versions = [
        version("a", 1e9, 0.8, aliases=(CHAMPION,)), version("a", 1e9, 0.5),
        version("a", 1e9, 0.6),
    ]  # fmt: skip
    points = compute_frontier(versions, "token", samples_of).points
    assert {(point.version, point.is_champion) for point in points} == {(1, True), (3, False)}


def test_frontier_contains_the_newest_version_of_a_run(version):
    versions = [version("a", 1e9, 0.5), version("a", 1e9, 0.6)]
    assert [point.version for point in compute_frontier(versions, "token", samples_of).points] == [
        2
    ]


def test_frontier_versions_of_other_seeds_are_replicates(version):
    moe = [version("moe", 1e9, share, is_moe=True, seed=9 * i)
           for i, share in enumerate((0.5, 0.6, 0.7))]  # fmt: skip
    moe = [with_seed(info, seed) for seed, info in enumerate(moe)]
    dense = [with_seed(version("dense", 1e9, 0.5, seed=90), seed) for seed in (4, 5)]
    other = version("other", 1e9, 0.4)
    frontier = compute_frontier([*moe, *dense, other], "token", samples_of)
    points = {point.name: point for point in frontier.points}
    assert {name: point.num_seeds for name, point in points.items()} == {
        "moe": 3, "dense": 2, "other": 1,
    }  # fmt: skip
    accuracies = [info.evaluation.accuracy for info in moe]
    assert points["moe"].version == 3
    assert points["moe"].accuracy == pytest.approx(np.mean(accuracies))
    assert points["moe"].standard_error ** 2 > np.var(accuracies, ddof=1) / 3
    (partner,) = frontier.dense_partners
    assert partner.basis == "3 against 2 seeds and 400 items"
    assert partner.difference == pytest.approx(points["moe"].accuracy - points["dense"].accuracy)


def with_seed(info, seed):
    run = info.run_record
    runs = tuple(member.model_copy(update={"seed": seed}) for member in run.training_chain.runs)
    chain = run.training_chain.model_copy(update={"runs": runs})
    changed = run.model_copy(update={"seed": seed, "training_chain": chain})
    return dataclasses.replace(info, run_record=changed)


def test_frontier_does_not_average_a_repeated_seed(version):
    versions = [version("a", 1e9, 0.8, aliases=(CHAMPION,)), version("a", 1e9, 0.5)]
    points = compute_frontier(versions, "token", samples_of).points
    assert [point.num_seeds for point in points] == [1, 1]


def test_frontier_of_a_trial_on_few_items_still_shows_the_champion(version):
    champion = version("champion", 1e9, 0.6, aliases=(CHAMPION,))
    trial = version("trial", 1e8, 0.9, file_sha256="c" * 64, evaluation={"partial": True})
    frontier = compute_frontier([champion, trial], "token", samples_of)
    assert [point.name for point in frontier.points] == ["champion"]
    assert [excluded.name for excluded in frontier.excluded] == ["trial"]
    assert [item_set.newest for item_set in frontier.item_sets] == [2, 1]
    digest = frontier.item_sets[0].digest
    chosen = compute_frontier([champion, trial], "token", samples_of, items_digest=digest)
    assert [point.name for point in chosen.points] == ["trial"]
    with pytest.raises(InvalidQuery, match="no version answered the items 'x'"):
        compute_frontier([champion], "token", samples_of, items_digest="x")


def test_frontier_without_champion_has_the_items_of_the_newest_complete_evaluation(version):
    complete = version("complete", 1e9, 0.6)
    trial = version("trial", 1e8, 0.9, file_sha256="c" * 64, evaluation={"partial": True})
    frontier = compute_frontier([complete, trial], "token", samples_of)
    assert [point.name for point in frontier.points] == ["complete"]
