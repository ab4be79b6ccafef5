import torch

from tests.models.architecture.moe.factories import all_valid, build_layer, moe_model_config


def test_every_expert_is_full_and_unchosen_tokens_count_as_dropped():
    layer = build_layer(moe_model_config("expert_choice", 4, 1.0), router_std=3.0)
    x = torch.randn(2, 16, 8)
    layer(x, all_valid(x))
    routing = layer.routing
    assert routing.tokens_per_expert_E.tolist() == [8, 8, 8, 8]
    assert int(routing.load.num_dropped) == 32 - len(set(routing.token_A.tolist()))
    assert int(routing.load.num_requested) == 32
