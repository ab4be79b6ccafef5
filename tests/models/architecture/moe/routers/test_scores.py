import torch

from tests.models.architecture.moe.factories import all_valid, build_layer, moe_model_config
from tests.models.architecture.moe.reference import feed_forward


def test_jitter_changes_the_input_of_the_router_only():
    layer = build_layer(moe_model_config("switch", 2, None, jitter=0.3))
    x = torch.randn(1, 64, 8)
    y = layer.train()(x, all_valid(x))
    routing, experts = layer.routing, layer.experts
    expected = torch.zeros(64, 8)
    for t, e, w in zip(routing.token_A, routing.expert_A, routing.weight_A, strict=True):
        expected[t] = w * feed_forward(x[0, t], experts.wi_EDF[e], None, experts.wo_EFD[e])
    torch.testing.assert_close(y[0], expected, atol=1e-5, rtol=1e-4)
    assert not torch.equal(layer.eval()(x, all_valid(x)), y)
