"""Small models and batches, and a comparison of outputs with their gradients."""

import torch

from models.architecture.t5 import T5
from models.config import ModelConfig

SIZES = {"vocab_size": 96, "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8, "num_layers": 3}


def small_t5(**overrides):
    """A T5 with random weights from a fixed seed, in evaluation mode."""
    return T5(ModelConfig(**{**SIZES, **overrides})).reset_parameters(1).eval()


def assert_equal_with_gradients(actual, expected, *inputs):
    """Compare outputs, and gradients of a random projection of them."""
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)
    projection = torch.randn_like(actual)
    actual_gradients = torch.autograd.grad((actual * projection).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * projection).sum(), inputs)
    for gradient, expected_gradient in zip(actual_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-4, rtol=1e-4)
