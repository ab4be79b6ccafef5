"""The dense layer against torch's own operations, gradients included."""

import itertools

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from models.architecture.feed_forward import FeedForward
from models.config import ModelConfig
from tests.models.architecture.factories import assert_equal_with_gradients


def feed_forward(d_model, d_ff, activation, dropout=0.0):
    layer = FeedForward(
        ModelConfig(
            vocab_size=8, d_model=d_model, d_ff=d_ff, num_heads=1, d_kv=8, num_layers=1,
            activation=activation, dropout=dropout,
        )
    )  # fmt: skip
    layer.reset_parameters()
    return layer


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_feed_forward_equals_torch_operations(activation):
    layer = feed_forward(16, 40, activation)
    x = torch.randn(2, 5, 16, requires_grad=True)
    h = F.linear(x, layer.wi)
    gated = layer.wg is not None
    h = F.gelu(h, approximate="tanh") * F.linear(x, layer.wg) if gated else F.relu(h)
    expected = F.linear(h, layer.wo)
    assert_equal_with_gradients(layer(x, None), expected, x, *layer.parameters())
    with torch.no_grad():
        torch.testing.assert_close(layer(x, None), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_feed_forward_under_autocast_has_float32_gradients(activation):
    """Gradients are as close to those of float32 as bfloat16 allows."""
    layer = feed_forward(16, 40, activation)
    # Values that bfloat16 represents exactly: rounding an input flips no ReLU.
    for weight in layer.parameters():
        weight.data = weight.data.bfloat16().float()
    x = torch.randn(2, 5, 16).bfloat16().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x, None)
    assert y.dtype == torch.bfloat16
    expected = layer(x, None)
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0.05)
    inputs = (x, *layer.parameters())
    gradients = torch.autograd.grad(y.float().square().sum(), inputs)
    exact_gradients = torch.autograd.grad(expected.square().sum(), inputs)
    for gradient, exact in zip(gradients, exact_gradients, strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - exact).norm() < 0.03 * exact.norm()


def test_feed_forward_with_a_frozen_weight_has_no_gradient_for_it():
    layer = feed_forward(8, 16, "gated_gelu")
    layer.wi.requires_grad_(False)
    x = torch.randn(1, 3, 8, requires_grad=True)
    layer(x, None).sum().backward()
    assert layer.wi.grad is None
    assert layer.wo.grad.abs().sum() > 0
    assert x.grad.abs().sum() > 0


def test_feed_forward_drops_hidden_values_in_training_only():
    layer = feed_forward(4, 512, "relu", dropout=0.5)
    x = torch.randn(1, 1, 4).expand(1, 400, 4).contiguous()
    expected = layer.eval()(x, None)[0, 0].detach()
    y = layer.train()(x, None)[0].detach()
    standard_error = y.std(0) / 20
    assert standard_error.min() > 0
    assert ((y.mean(0) - expected).abs() < 5 * standard_error).all()


class ProductCounter(TorchDispatchMode):
    """Counts matrix products, those of oneDNN included."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in ("mm", "_linear_pointwise")
        return func(*args, **(kwargs or {}))


TENSORS = ("x", "wi", "wg", "wo")


@pytest.mark.parametrize(
    "trained",
    [names for size in range(1, 5) for names in itertools.combinations(TENSORS, size)],
    ids="-".join,
)
def test_feed_forward_computes_only_the_gradients_that_are_needed(trained):
    """Each trained tensor costs a product; dh and two products for x cost three."""
    layer = feed_forward(16, 40, "gated_gelu")
    tensors = {"x": torch.randn(2, 5, 16), **dict(layer.named_parameters())}
    for name, tensor in tensors.items():
        tensor.requires_grad_(name in trained)
    y = layer(tensors["x"], None)
    with ProductCounter() as counter:
        gradients = torch.autograd.grad(y.square().sum(), [tensors[name] for name in trained])
    needs_hidden_gradient = bool({"x", "wi", "wg"} & set(trained))
    assert counter.count == len(trained) + ("x" in trained) + needs_hidden_gradient
    x, wi, wg, wo = (tensors[name] for name in TENSORS)
    expected = F.linear(F.gelu(F.linear(x, wi), approximate="tanh") * F.linear(x, wg), wo)
    exact = torch.autograd.grad(expected.square().sum(), [tensors[name] for name in trained])
    for gradient, value in zip(gradients, exact, strict=True):
        torch.testing.assert_close(gradient, value, atol=1e-4, rtol=1e-4)
