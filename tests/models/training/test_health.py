"""What routers did, and when to warn."""

import numpy as np
import torch

from models.training.batches import to_tensors
from models.training.loss import compute
from models.training.router_health import RouterHealth
from tests.models.training.made import corpus, model, moe


def test_router_health_counts_and_warns():
    sparse = moe(num_experts=4, capacity_factor_train=0.5, min_capacity=1, expert_dropout=0.0)
    made = model(sparse, dropout=0.0)
    batch = to_tensors(corpus(), np.arange(8))
    router = made.encoder.blocks[1].feed_forward.router
    with torch.no_grad():
        router.weight.zero_()
        router.weight[0], router.weight[1] = 50.0, -50.0  # one of the two, and surely
    health = RouterHealth()
    for _ in range(2):
        compute(made, made, batch)
        health.update(made)
    layer = health.summary()["encoder.blocks.1.feed_forward"]
    routing = made.encoder.blocks[1].feed_forward.routing
    chosen = routing.load.tokens_per_expert_E
    assert layer["load"] == [round(n, 4) for n in (chosen / chosen.sum()).tolist()]
    assert layer["dead_experts"] == int((chosen == 0).sum()) > 0
    told = health.warnings()
    assert "experts get no token" in told["encoder.blocks.1.feed_forward dead"]
    assert "assignments are dropped" in told["encoder.blocks.1.feed_forward drops"]
    assert "entropy has fallen" in told["encoder.blocks.1.feed_forward entropy"]
    assert not health.since(health).warnings().keys() - {
        f"{name} {kind}" for name in health.sums_X for kind in ("dead", "entropy")
    }
