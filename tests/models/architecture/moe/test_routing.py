import pytest
import torch

from models.architecture.moe.routing import positions_in_expert
from tests.models.architecture.moe.factories import build_layer, moe_model_config


def test_balanced_st_moe_router_drops_the_published_share():
    """1.25 * T / E rows for 2 * T / E assignments: 37.5 % are dropped."""
    layer = build_layer(moe_model_config("st_moe", 16, 1.25)).train()
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[:, :8] = torch.tensor(
            [[4.0 * ((e >> bit) & 1) - 2.0 for bit in range(4)] + [0.0] * 4 for e in range(16)]
        )
    codes = torch.arange(1600) % 16
    x = torch.zeros(1, 1600, 8)
    for bit in range(4):
        x[0, :, bit] = ((codes >> bit) & 1) * 2.0 - 1.0
    # The second expert differs in the bit with the smallest input.
    x[0, :, 0] *= 0.5
    layer(x, torch.ones(1, 1600, dtype=torch.bool))
    load = layer.routing.load
    assert load.requested_per_expert_E.tolist() == [200] * 16
    assert int(load.num_dropped) / int(load.num_requested) == pytest.approx(0.375)


def test_positions_in_expert_are_counted_in_list_order():
    assert positions_in_expert(torch.tensor([0, 1, 0, 0, 1]), 3).tolist() == [0, 0, 1, 2, 1]
