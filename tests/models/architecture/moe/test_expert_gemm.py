import pytest
import torch

from models.architecture.moe.expert_gemm import experts_grouped_mm
from tests.models.architecture.moe.factories import build_layer, moe_model_config


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_grouped_gemm_equals_the_loop_over_experts(activation):
    """The GPU implementation on a CPU, in bfloat16, with an empty expert."""
    layer = build_layer(moe_model_config("st_moe", 4, None, activation, d_model=16, d_ff=32))
    x = torch.randn(24, 16, requires_grad=True)
    token_A, weight_A = torch.randint(0, 24, (40,)), torch.rand(40, requires_grad=True)
    tokens_per_expert_E = torch.tensor([17, 0, 3, 20])

    def with_gradients(y):
        inputs = [x, weight_A, *layer.experts.parameters()]
        return y, torch.autograd.grad((y.float() ** 2).sum(), inputs)

    with torch.autocast("cpu", torch.bfloat16):
        expected, expected_gradients = with_gradients(
            layer.experts(x, token_A, tokens_per_expert_E, weight_A)
        )
        actual, gradients = with_gradients(
            experts_grouped_mm(
                x, token_A, tokens_per_expert_E, weight_A, *layer.experts.local_weights(),
                dropout=0.0, dtype=torch.bfloat16,
            )
        )  # fmt: skip
    torch.testing.assert_close(actual, expected, atol=0.05, rtol=0.05)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=0.1, rtol=0.1)
