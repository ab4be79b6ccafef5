"""Routing, capacity and router losses against values computed with google/flaxformer itself."""

import json
from pathlib import Path

import pytest
import torch

from models.architecture.moe.capacity import expert_capacity
from models.architecture.moe.routers.table import build_router
from models.config import MoEConfig

DATA = json.loads((Path(__file__).parent / "data" / "flaxformer_routing.json").read_text())
CASES = {case["name"]: case for case in DATA["cases"]}


def router_and_tokens(case):
    moe = MoEConfig(
        num_experts=case["num_experts"],
        router=case["router"],
        top_k=case["top_k"],
        batch_priority=case["batch_priority"],
        capacity_factor_train=case["capacity_factor"],
        min_capacity=case["min_capacity"],
        group_tokens=case["group_tokens"],
        load_balance_loss_choices="all" if case["top_k"] > 1 else "first",
    )
    x_TD = torch.tensor(case["x"])
    router = build_router(x_TD.shape[1], moe).train()
    router.weight.data = torch.tensor(case["router_weight"])
    return router, x_TD


def route(router, x_TD):
    return router(x_TD[None], torch.ones(1, len(x_TD), dtype=torch.bool))


@pytest.mark.parametrize("name", CASES)
def test_assignments_and_weights_equal_flaxformers(name):
    case = CASES[name]
    router, x_TD = router_and_tokens(case)
    routing = route(router, x_TD)
    weights = {
        (token, expert): weight
        for token, expert, weight in zip(
            routing.token_A.tolist(),
            routing.expert_A.tolist(),
            routing.weight_A.tolist(),
            strict=True,
        )
    }
    expected = {(token, expert): weight for token, expert, weight in case["assignments"]}
    assert weights == pytest.approx(expected, abs=2e-6)
    assert expert_capacity(case["group_tokens"], router.config, training=True) == case["capacity"]


@pytest.mark.parametrize("name", CASES)
def test_router_losses_equal_flaxformers(name):
    """flaxformer averages the losses of the groups."""
    case = CASES[name]
    router, x_TD = router_and_tokens(case)
    groups = [route(router, x_GD) for x_GD in x_TD.split(case["group_tokens"])]
    z_loss = sum(float(routing.z_loss.detach()) for routing in groups) / len(groups)
    assert z_loss == pytest.approx(case["z_loss"], rel=1e-5)
    if case["router"] != "expert_choice":  # which has no load-balancing loss there
        losses = [float(routing.load_balance_loss.detach()) for routing in groups]
        assert sum(losses) / len(losses) == pytest.approx(case["load_balance_loss"], rel=1e-5)
    else:
        assert case["load_balance_loss"] == 0
