"""Norm, products and the dense layer against torch's own operations, gradients included."""

import pytest
import torch
from torch.nn import functional as F

from models.architecture.feed_forward import FeedForward
from models.architecture.matmul import linear, pack, using
from models.architecture.norm import EPSILON, RMSNorm
from models.config import ModelConfig


def feed_forward(d_model, d_ff, activation, dropout=0.0):
    layer = FeedForward(
        ModelConfig(
            vocab_size=8, d_model=d_model, d_ff=d_ff, num_heads=1, d_kv=8, num_layers=1,
            activation=activation, dropout=dropout,
        )
    )  # fmt: skip
    layer.reset_parameters()
    return layer


def same(found, expected, *inputs):
    """Outputs and the gradients of a random projection of them."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    weight = torch.randn_like(found)
    one = torch.autograd.grad((found * weight).sum(), inputs)
    two = torch.autograd.grad((expected * weight).sum(), inputs)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 24), (2, 3, 24), (0, 24)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norm(shape, dtype):
    norm = RMSNorm(24)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(shape, requires_grad=True)
    same(norm(x), F.rms_norm(x, (24,), norm.weight, EPSILON), x, norm.weight)
    with torch.no_grad():
        torch.testing.assert_close(norm(x), F.rms_norm(x, (24,), norm.weight, EPSILON))
    assert norm(x.to(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(7, 24), (2, 3, 24), (1, 1, 24), (0, 24)])
def test_linear(shape):
    x, weight = torch.randn(shape, requires_grad=True), torch.randn(10, 24, requires_grad=True)
    same(linear(x, weight), F.linear(x, weight), x, weight)
    transposed = torch.randn(24, 5).t().requires_grad_()
    other = torch.randn(10, 24, requires_grad=True)
    same(linear(transposed, other), F.linear(transposed, other), transposed, other)


def test_linear_under_autocast_is_torchs():
    x, weight = torch.randn(4, 8), torch.randn(3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear(x, weight), F.linear(x, weight))


def test_packed_weights_multiply_the_same_and_only_where_no_gradient_is_wanted():
    x, weight = torch.randn(5, 1, 24), torch.randn(40, 24, requires_grad=True)
    copies = pack([weight], 5)
    assert list(copies) == [id(weight)]
    assert pack([weight.double()], 5) == {}
    with using(copies), torch.no_grad():
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        weight.mul_(2)  # the copies are now of other weights
        with using(copies):
            stale = linear(x, weight)
        torch.testing.assert_close(stale, F.linear(x, weight / 2), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), atol=1e-5, rtol=1e-4)
    with using(copies):
        assert linear(x, weight).requires_grad
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_feed_forward(activation):
    layer = feed_forward(16, 40, activation)
    x = torch.randn(2, 5, 16, requires_grad=True)
    h = F.linear(x, layer.wi)
    gated = layer.wg is not None
    h = F.gelu(h, approximate="tanh") * F.linear(x, layer.wg) if gated else F.relu(h)
    expected = F.linear(h, layer.wo)
    same(layer(x, None), expected, x, *layer.parameters())
    with torch.no_grad():
        torch.testing.assert_close(layer(x, None), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_feed_forward_under_autocast(activation):
    """Gradients in float32 for float32 weights, as near as bfloat16 allows."""
    layer = feed_forward(16, 40, activation)
    # Values that bfloat16 holds: no ReLU is flipped by rounding an input.
    for weight in layer.parameters():
        weight.data = weight.data.bfloat16().float()
    x = torch.randn(2, 5, 16).bfloat16().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x, None)
    assert y.dtype == torch.bfloat16
    expected = layer(x, None)
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0.05)
    inputs = (x, *layer.parameters())
    found = torch.autograd.grad(y.float().square().sum(), inputs)
    exact = torch.autograd.grad(expected.square().sum(), inputs)
    for one, two in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        assert (one - two).norm() < 0.03 * two.norm()


def test_frozen_weights_of_the_dense_layer_get_no_gradient():
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
    plain = layer.eval()(x, None)[0, 0].detach()
    y = layer.train()(x, None)[0].detach()
    assert y.std(0).min() > 0
    assert ((y.mean(0) - plain).abs() < 5 * y.std(0) / 20).all()
