"""Pairing of evaluations: seeds, items, clusters, and what is no replicate."""

import dataclasses

import numpy as np
import pytest

from registry.comparison.pairing import cluster_keys, pair_results, pair_with_chance
from registry.comparison.results import read_result
from registry.errors import NotComparable
from tests.registry.comparison.factories import write_evaluations
from tests.registry.factories import chain_run, edit_samples, run_record, write_result

SCORES = {seed: np.random.default_rng(seed).integers(0, 2, 12) for seed in range(3)}


def test_pair_results_has_a_row_per_seed_and_the_weights_of_the_record(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        scores = {"s/t": SCORES[seed].tolist(), "s/u": [1, 0], "r/t": [0, 1, 1]}
        write_result(tmp_path / name, scores)
    a, b = (read_result(name, tmp_path / name) for name in "ab")
    sample = pair_results([a], [b])
    assert sample.weights_T.tolist() == [0.25, 0.25, 0.5]
    assert np.bincount(sample.task_N).tolist() == [12, 2, 3]
    assert sample.scores_a_SN[0, :12].tolist() == SCORES[0].tolist()
    weights = {"r/t": 1.0}
    part = pair_results([a], [b], weights=weights, excluded={"r/t": np.array([False, True, False])})
    assert part.scores_a_SN.tolist() == [[0, 1]]


def test_clusters_span_tasks_and_suites(tmp_path):
    """A recorded cluster, or the same question in two suites."""
    scores = {"s/t": [1, 0, 1], "r/t": [0, 1, 1], "r/u": [1]}
    write_result(tmp_path / "a", scores)

    def change(row):
        row["id"] = row["id"].partition("/")[2]
        row["cluster"] = "passage" if row["id"] in ("t-0", "u-0") else None

    edit_samples(tmp_path / "a", change)
    result = read_result("a", tmp_path / "a")
    sample = pair_results([result], [result])
    assert sample.cluster_N.tolist() == [0, 1, 2, 0, 1, 2, 0]
    old = dataclasses.replace(
        result,
        item_scores={
            name: dataclasses.replace(items, clusters=(None,) * len(items.ids))
            for name, items in result.item_scores.items()
        },
    )
    assert cluster_keys([old, result], "s/t")[0] == ("passage",)
    assert cluster_keys([old], "s/t")[0] == ("t", "t-0")


def test_chance_is_the_random_score_of_each_task(tmp_path):
    sample = pair_with_chance(write_evaluations(tmp_path, "a", SCORES))
    assert sample.scores_b_SN.tolist() == [[0.25] * 12]
    assert (sample.seeds_a, sample.seeds_b) == ((0, 1, 2), ())


def test_runs_that_differ_in_more_than_the_seed_are_no_replicates(tmp_path):
    a = write_evaluations(tmp_path, "a", SCORES)
    other_data = [chain_run(run_record("b", seed=5, data="other"))]
    chain = {"origin": "scratch", "runs": other_data}
    (b,) = write_evaluations(tmp_path, "b", {5: SCORES[0]}, run={"training_chain": chain})
    (moe,) = write_evaluations(tmp_path, "c", {6: SCORES[0]}, run={"model": {"moe": {}}})
    (again,) = write_evaluations(tmp_path, "d", {2: SCORES[0]})
    with pytest.raises(NotComparable, match="a_0 and b_5 are no replicates: data is train and oth"):
        pair_results([*a, b], a)
    with pytest.raises(NotComparable, match="a_0 and c_6 are no replicates: their models differ"):
        pair_results(a, [*a, moe])
    with pytest.raises(NotComparable, match="d_2: seed 2 is also that of a_2"):
        pair_results([*a, again], a)


def test_other_items_are_not_paired(tmp_path):
    a = write_evaluations(tmp_path, "a", SCORES)
    b = write_evaluations(tmp_path, "b", SCORES)
    edit_samples(tmp_path / "b_1", lambda row: row.update(prompt_sha256="0"))
    b[1] = read_result("b_1", tmp_path / "b_1")
    with pytest.raises(NotComparable, match="a_0 and b_1 were not evaluated alike: s/t: 12 of 12"):
        pair_results(a, b)
