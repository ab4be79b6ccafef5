"""The Pareto front against brute force, and who may be put beside whom."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.comparison.frontier import cost, frontier
from registry.errors import UnknownCost

TASKS = [{"task": "s/a", "suite": "s", "unit": "a"}, {"task": "s/b", "suite": "s", "unit": "b"}]


@pytest.fixture
def version(tmp_path):
    """A version as the registry describes it, its answers on disk."""
    number = 0

    def make(name, flops, share, *, moe=False, scored_on="x", seconds=None, kept=True, seed=0):
        nonlocal number
        number += 1
        generator = np.random.default_rng(seed + number)
        rows = [
            {"task": task["task"], "id": f"{i}", "score": float(generator.random() < share)}
            for task in TASKS
            for i in range(200)
        ]
        folder = tmp_path / f"{name}{number}"
        folder.mkdir()
        if kept:
            pq.write_table(pa.Table.from_pylist(rows), folder / "samples.parquet")
        accuracy = float(np.mean([row["score"] for row in rows]))
        return {
            "name": name, "version": number, "tuned": True, "flops_per_token": flops,
            "flops_per_item": flops * 50, "seconds_per_item": seconds, "training_flops": 1e12,
            "accuracy": accuracy, "error": 0.02, "partial": False, "scored_on": scored_on,
            "artifact": str(folder), "tasks": TASKS,
            "run_record": {"model": {"moe": {"k": 1} if moe else None}},
        }  # fmt: skip

    return make


def test_front_by_brute_force(version):
    made = [version(f"m{i}", flops * 1e9, share) for i, (flops, share) in enumerate(
        [(1, 0.3), (2, 0.5), (2, 0.4), (3, 0.45), (4, 0.8), (0.5, 0.1)]
    )]  # fmt: skip
    found = {p["name"]: p["on_front"] for p in frontier(made, "token")["points"]}
    for one in made:
        beaten = any(
            other["flops_per_token"] <= one["flops_per_token"]
            and other["accuracy"] >= one["accuracy"]
            and (other["flops_per_token"], -other["accuracy"])
            != (one["flops_per_token"], -one["accuracy"])
            for other in made
        )
        assert found[one["name"]] == (not beaten)


def test_probability_is_sure_of_what_is_clear_and_unsure_of_what_is_not(version):
    made = [version("cheap", 1e9, 0.5), version("dear", 2e9, 0.5, seed=7), version("bad", 3e9, 0.1)]
    points = {p["name"]: p for p in frontier(made, "token")["points"]}
    assert points["cheap"]["probability"] == 1  # nothing is cheaper
    assert points["bad"]["probability"] == 0
    gap = points["dear"]["accuracy"] - points["cheap"]["accuracy"]
    # Two models of n answers each: the chance that the dearer one is really better.
    spread = (2 * 0.25 / 400) ** 0.5
    from scipy.stats import norm

    assert points["dear"]["probability"] == pytest.approx(norm.cdf(gap / spread), abs=0.06)


def test_twins_are_the_nearest_dense_in_cost(version):
    made = [
        version("small", 1e9, 0.4), version("twin", 2e9, 0.5), version("moe", 2.1e9, 0.7, moe=True),
    ]  # fmt: skip
    (twin,) = frontier(made, "token")["twins"]
    assert (twin["moe"], twin["dense"], twin["equal_cost"]) == ("moe", "twin", True)
    assert twin["cost_ratio"] == pytest.approx(1.05)
    assert twin["low"] < twin["difference"] < twin["high"]
    made[1]["flops_per_token"] = 1e9
    assert frontier(made, "token")["twins"][0]["equal_cost"] is False


def test_other_items_and_missing_costs_are_left_out_by_name(version):
    made = [version("old", 1e9, 0.9, scored_on="part"), version("new", 1e9, 0.5, seconds=0.25)]
    found = frontier(made, "time")
    assert [p["name"] for p in found["points"]] == ["new"]
    assert found["points"][0]["cost"] == 250
    assert found["left_out"] == [{"name": "old", "reason": "scored on other items"}]
    made[0]["scored_on"] = "x"
    assert frontier(made, "time")["left_out"][0]["reason"].startswith("no milliseconds")
    assert frontier([], "token")["points"] == []
    with pytest.raises(UnknownCost, match="no cost is called 'tokens'; known: token, item"):
        cost(made[0], "tokens")


def test_without_answers_their_errors_are_taken(version):
    made = [version("a", 1e9, 0.5), version("b", 2e9, 0.6, kept=False)]
    assert frontier(made, "token")["paired"] is False


def test_only_the_newest_version_of_a_run_is_shown(version):
    made = [version("a", 1e9, 0.5), version("a", 1e9, 0.6)]
    assert [p["version"] for p in frontier(made, "token")["points"]] == [2]
