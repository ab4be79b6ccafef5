"""Order by cost: small differences of FLOPs do not count, parameters do."""

import pytest

from registry.comparison.cost_order import order_by_cost

COSTS = {
    "dense": (26.7, 821), "moe": (26.2, 1740), "dense_base": (27.3, 821), "half": (13.0, 400),
    "large": (60.0, 3000), "large_moe": (58.0, 9000),
}  # fmt: skip


def order(*names, min_saving=0.05):
    return order_by_cost(names, COSTS.__getitem__, min_saving)


def test_equal_flops_are_ordered_by_parameters():
    assert order("moe", "dense", "dense_base") == ["dense", "dense_base", "moe"]
    assert order("moe", "dense", min_saving=0.0) == ["moe", "dense"]


def test_a_saving_that_counts_comes_first():
    assert order("large_moe", "large", "moe", "dense", "half") == [
        "half", "dense", "moe", "large", "large_moe",
    ]  # fmt: skip


@pytest.mark.parametrize(("flops", "expected"), [(95.1, ["b", "a"]), (94.9, ["a", "b"])])
def test_boundary_is_the_smallest_saving(flops, expected):
    costs = {"a": (flops, 2), "b": (100.0, 1)}
    assert order_by_cost("ab", costs.__getitem__, 0.05) == expected


def test_equal_costs_keep_their_order():
    assert order_by_cost("cab", lambda name: (1.0, 1), 0.05) == ["c", "a", "b"]
    assert order_by_cost("", lambda name: (1.0, 1), 0.05) == []
