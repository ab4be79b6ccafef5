"""The sentence on a sparse model and its dense partner."""

import pytest

from registry.comparison.dense_partners import DensePartner
from registry.comparison.pair_verdicts import judge_pair


def judge(low, high, **ratios):
    costs = {"token": 1.0002, "item": 1.0, "time": 1.2, "memory": 2.1, "training": 1.05, **ratios}
    partner = DensePartner(
        moe="moe", moe_version=4, dense="dense", dense_version=2, cost_ratio=costs["token"],
        cost_ratios=costs, equal_cost=True, difference=(low + high) / 2, low=low, high=high,
        basis="100 items",
    )  # fmt: skip
    return judge_pair(partner, margin=0.025, min_saving=0.05)


def test_judge_pair_of_the_same_quality_keeps_the_dense_model():
    verdict = judge(-0.01, 0.023)
    assert verdict.sentence == (
        "moe v4 against dense v2: same quality within ± 2.3 points at 1.00 × FLOPs per token, "
        "2.10 × memory, 1.20 × time per item, 1.05 × training FLOPs: keep the dense model"
    )
    assert verdict.outcome == "same quality"


@pytest.mark.parametrize(
    ("low", "high", "ratios", "outcome", "is_worth_it"),
    [
        (0.01, 0.05, {}, "better", True),
        (-0.05, -0.01, {}, "worse", False),
        (-0.05, -0.01, {"item": 0.5}, "worse", False),
        (-0.02, 0.02, {"item": 0.9}, "same quality", True),
        (-0.02, 0.02, {"item": 0.96}, "same quality", False),
        (-0.02, 0.09, {"item": 0.9}, "undecided", True),
        (-0.09, 0.02, {"item": 0.9}, "undecided", False),
        (-0.09, 0.09, {"item": 1.0}, "undecided", False),
    ],
)
def test_judge_pair_follows_interval_margin_and_saving(low, high, ratios, outcome, is_worth_it):
    verdict = judge(low, high, **ratios)
    assert (verdict.outcome, verdict.is_sparse_worth_it) == (outcome, is_worth_it)
    assert verdict.sentence.endswith("sparse model" if is_worth_it else "dense model")


def test_judge_pair_names_costs_that_are_unknown():
    assert "(time per item unknown)" in judge(-0.01, 0.01, time=None).sentence
