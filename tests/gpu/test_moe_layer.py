"""The MoE layer on CUDA against the token-by-token reference in float64."""

import pytest
import torch

from tests.models.architecture.moe.factories import (
    TOP_K_BY_ROUTER,
    build_layer,
    moe_model_config,
)
from tests.models.architecture.moe.reference import (
    projected_gradients,
    reference_output,
    to_float64,
)

pytestmark = pytest.mark.gpu
ATOL_RTOL = {torch.float32: (2e-5, 1e-3), torch.bfloat16: (0.06, 0.06)}


@pytest.mark.parametrize("capacity_factor", [None, 1.0])
@pytest.mark.parametrize("precision", ATOL_RTOL, ids=str)
@pytest.mark.parametrize("router", TOP_K_BY_ROUTER)
def test_output_and_gradients_on_cuda_equal_the_reference(
    router, precision, capacity_factor, device, monkeypatch
):
    config = moe_model_config(
        router, 4, capacity_factor, "gated_gelu", d_model=32, d_ff=64, dense_after_moe=True
    )
    # Values that bfloat16 represents exactly: rounding the inputs changes no routing.
    layer = build_layer(config, router_std=0.3).train()
    for weight in layer.parameters():
        weight.data = weight.data.bfloat16().float()
    x = torch.randn(3, 14, 32).bfloat16().float()
    valid = torch.rand(x.shape[:2]) > 0.3
    projection = torch.randn_like(x)
    exact_layer = to_float64(layer, config)
    x64 = x.double().requires_grad_()
    y64 = reference_output(exact_layer, x64, valid)
    # GShard draws whether it uses the second expert: 0.5 here and in the reference.
    monkeypatch.setattr(torch, "rand_like", lambda like: torch.full_like(like, 0.5))
    layer, x = layer.to(device), x.to(device).requires_grad_()
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == torch.bfloat16):
        y = layer(x, valid.to(device))
    atol, rtol = ATOL_RTOL[precision]
    torch.testing.assert_close(y.cpu().double(), y64, atol=atol, rtol=rtol)
    gradients = projected_gradients(layer, x, y.float(), projection.to(device))
    expected = projected_gradients(exact_layer, x64, y64, projection.double())
    for name, gradient in gradients.items():
        scale = max(1.0, float(expected[name].abs().max()))
        torch.testing.assert_close(
            gradient.cpu().double() / scale,
            expected[name] / scale,
            atol=atol,
            rtol=rtol,
            msg=lambda text, name=name: f"{name}: {text}",
        )
