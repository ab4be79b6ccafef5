"""Router statistics and warnings."""

import dataclasses

import numpy as np
import pytest
import torch

from models.training.batches import to_tensors
from models.training.loss import compute_loss
from models.training.router_health import RouterHealth
from tests.models.training.factories import build_corpus, build_model, moe_config

LAYER = "encoder.blocks.1.feed_forward"


@pytest.fixture
def collapsed_health():
    """Statistics of two passes with a router that prefers two of four experts, and the model."""
    moe = moe_config(num_experts=4, capacity_factor_train=0.5, min_capacity=1, expert_dropout=0.0)
    model = build_model(moe, dropout=0.0)
    batch = to_tensors(build_corpus(), np.arange(8))
    layer = model.encoder.blocks[1].feed_forward
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[0], layer.router.weight[1] = 50.0, -50.0
    health = RouterHealth()
    for _ in range(2):
        compute_loss(model, model, batch)
        health.update(model)
    return health, model


def test_summary_collapsed_router_counts_loads_and_dead_experts(collapsed_health):
    health, model = collapsed_health
    tokens_E = model.encoder.blocks[1].feed_forward.routing.load.requested_per_expert_E
    summary = health.summary(model.config)[LAYER]
    assert summary.load == [round(n, 4) for n in (tokens_E / tokens_E.sum()).tolist()]
    assert summary.dead_experts == int((tokens_E == 0).sum()) > 0
    highest_share = max(max(layer.load) for layer in health.summary(model.config).values())
    assert health.max_expert_load() == round(4 * highest_share, 2)


def test_warnings_collapsed_router_names_each_problem(collapsed_health):
    health, model = collapsed_health
    # The other half of a balanced router's assignments would be dropped, too.
    config = model.config
    moe = dataclasses.replace(config.moe, capacity_factor_train=0.9)
    warnings = health.warnings(dataclasses.replace(config, moe=moe))
    assert "experts receive no token" in warnings[f"{LAYER} dead"]
    assert "assignments are dropped" in warnings[f"{LAYER} drops"]
    assert "entropy is 0.0" in warnings[f"{LAYER} entropy"]


def test_since_empty_window_has_no_drops(collapsed_health):
    health, model = collapsed_health
    kinds = {f"{name} {kind}" for name in health.sums_X for kind in ("dead", "entropy")}
    assert not health.since(health).warnings(model.config).keys() - kinds


def test_warnings_accept_the_drops_of_a_balanced_router():
    """ST-MoE's capacity of 1.25 tokens per token drops 37.5 % of two assignments."""
    layer = torch.tensor([50.0, 50.0, 50.0, 50.0, 75.0, 200.0, 1.0, 1.0], dtype=torch.float64)
    health = RouterHealth({LAYER: layer})
    top_2 = moe_config(num_experts=4, router="st_moe", top_k=2)
    summary = health.summary(build_model(top_2).config)[LAYER]
    assert (summary.drop_share, summary.balanced_drop_share) == (0.375, 0.375)
    assert health.warnings(build_model(top_2).config) == {}
    per_assignment = dataclasses.replace(top_2, capacity_per="assignment")
    assert list(health.warnings(build_model(per_assignment).config)) == [f"{LAYER} drops"]
