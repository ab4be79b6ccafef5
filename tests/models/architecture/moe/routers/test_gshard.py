import math

import pytest
import torch

from tests.models.architecture.moe.factories import all_valid, build_layer, moe_model_config


def layer_and_tokens():
    """Gates 0.8 and 0.2 for every token, so training uses the second expert for 40 % of them."""
    layer = build_layer(moe_model_config("gshard", 2, None))
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[0, 0] = math.log(4)
    x = torch.zeros(1, 20_000, 8)
    x[..., 0] = 1.0
    return layer, x


def test_second_expert_is_used_with_twice_its_gate_as_probability_in_training():
    layer, x = layer_and_tokens()
    layer.train()(x, all_valid(x))
    fraction = int(layer.routing.load.requested_per_expert_E[1]) / 20_000
    assert fraction == pytest.approx(0.4, abs=0.015)  # four standard errors


def test_second_expert_is_always_used_in_evaluation():
    layer, x = layer_and_tokens()
    layer.eval()(x, all_valid(x))
    assert layer.routing.load.requested_per_expert_E.tolist() == [20_000, 20_000]
