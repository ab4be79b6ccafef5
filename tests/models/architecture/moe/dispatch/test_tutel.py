import pytest
import torch

from models.architecture.moe.dispatch.padded import required_capacity, run_padded
from models.architecture.moe.dispatch.tutel import token_choices
from tests.models.architecture.moe.factories import (
    HAS_TUTEL,
    all_valid,
    build_layer,
    moe_model_config,
)


@pytest.mark.skipif(HAS_TUTEL, reason="Tutel is installed, its tests run")
def test_tutel_is_installed():
    pytest.skip("Tutel is not installed: dispatch through it is not tested here")


@pytest.mark.parametrize("router", ["switch", "gshard", "st_moe"])
def test_token_choices_describe_the_routing(router):
    """Dispatch by hand from k pairs (expert, row) per token, where row C marks an unused choice."""
    layer = build_layer(moe_model_config(router, 4, 0.5)).eval()
    x = torch.randn(2, 9, 8)
    expected = layer(x, all_valid(x))
    routing, experts = layer.routing, layer.experts
    capacity = required_capacity(routing, None)
    assert capacity == max(routing.tokens_per_expert_E.tolist())
    expert_KT, row_KT, weight_KT = token_choices(routing, 18, capacity)
    x_TD, x_ECD = x.view(18, 8), torch.zeros(4, capacity, 8)
    tokens = list(range(18)) * len(row_KT)
    for e, r, t in zip(expert_KT.flatten(), row_KT.flatten(), tokens, strict=True):
        if r < capacity:
            assert (x_ECD[e, r] == 0).all()  # no two tokens share a row
            x_ECD[e, r] = x_TD[t]
    y_ECD = run_padded(x_ECD, experts)
    y_TD = torch.zeros(18, 8)
    for k in range(len(expert_KT)):
        for t in range(18):
            if row_KT[k, t] < capacity:
                y_TD[t] += weight_KT[k, t] * y_ECD[expert_KT[k, t], row_KT[k, t]]
    torch.testing.assert_close(y_TD.view_as(x), expected, atol=1e-5, rtol=1e-4)
