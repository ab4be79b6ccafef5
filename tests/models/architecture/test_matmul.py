import pytest
import torch
from torch.nn import functional as F

from models.architecture.matmul import linear, prepack_weights, use_prepacked
from tests.models.architecture.factories import assert_equal_with_gradients


@pytest.mark.parametrize("shape", [(7, 24), (2, 3, 24), (1, 1, 24), (0, 24)])
def test_linear_equals_torch_linear(shape):
    x, weight = torch.randn(shape, requires_grad=True), torch.randn(10, 24, requires_grad=True)
    assert_equal_with_gradients(linear(x, weight), F.linear(x, weight), x, weight)


def test_linear_of_a_transposed_input_equals_torch_linear():
    x = torch.randn(24, 5).t().requires_grad_()
    weight = torch.randn(10, 24, requires_grad=True)
    assert_equal_with_gradients(linear(x, weight), F.linear(x, weight), x, weight)


def test_linear_under_autocast_is_torch_linear():
    x, weight = torch.randn(4, 8), torch.randn(3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear(x, weight), F.linear(x, weight))


def test_prepack_weights_skips_float64():
    weight = torch.randn(40, 24)
    assert list(prepack_weights([weight], 5)) == [id(weight)]
    assert prepack_weights([weight.double()], 5) == {}


def assert_linear_equals_torchs(x, weight):
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight), atol=1e-5, rtol=1e-4)


def test_use_prepacked_multiplies_the_copies_while_gradients_are_disabled():
    x, weight = torch.randn(5, 1, 24), torch.randn(40, 24, requires_grad=True)
    copies = prepack_weights([weight], 5)
    with use_prepacked(copies), torch.no_grad():
        assert_linear_equals_torchs(x, weight)
    with torch.no_grad():
        weight.mul_(2)  # the copies now differ from the weight
        with use_prepacked(copies):
            stale = linear(x, weight)
        torch.testing.assert_close(stale, F.linear(x, weight / 2), atol=1e-5, rtol=1e-4)
        assert_linear_equals_torchs(x, weight)
    with use_prepacked(copies):
        assert linear(x, weight).requires_grad
        assert_linear_equals_torchs(x, weight)
