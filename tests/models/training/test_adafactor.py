"""Adafactor against T5X's formulas, written with NumPy in float64."""

import numpy as np
import pytest
import torch

from models.training.adafactor import Adafactor
from tests.models.training.sharded_adafactor_cases import CASES, gradient, initial_weight
from tests.ranks import run_on_ranks

LR = 0.02
SHAPES = {
    "vector": (37,),
    "small_matrix": (160, 8),
    "large_matrix": (128, 192),
    "small_experts": (4, 16, 160),
    "large_experts": (4, 128, 130),
}


class T5XAdafactor:
    """T5X's update of one parameter: t5x/adafactor.py, apply_param_gradient, with its defaults.

    Experts are a BATCH dimension of its factorization rules.
    """

    def __init__(self, shape):
        self.batch_dims = tuple(range(len(shape) - 2))
        self.averaged = tuple(range(len(self.batch_dims), len(shape)))
        self.factored = len(shape) > 1 and min(shape[-2:]) >= 128
        self.step = 0
        if self.factored:
            self.v_row, self.v_col = np.zeros(shape[:-1]), np.zeros((*shape[:-2], shape[-1]))
        else:
            self.v = np.zeros(shape)

    def update(self, param, grad, lr):
        decay = 1.0 - (self.step + 1.0) ** -0.8
        self.step += 1
        scale = np.sqrt((param * param).mean(self.averaged, keepdims=True)).clip(min=1e-3)
        squared = grad * grad + 1e-30
        if self.factored:
            self.v_row = decay * self.v_row + (1 - decay) * squared.mean(-1)
            self.v_col = decay * self.v_col + (1 - decay) * squared.mean(-2)
            row_factor = (self.v_row / self.v_row.mean(-1, keepdims=True)) ** -0.5
            y = grad * row_factor[..., :, None] * (self.v_col**-0.5)[..., None, :]
        else:
            self.v = decay * self.v + (1 - decay) * squared
            y = grad * self.v**-0.5
        y = y / np.maximum(1.0, np.sqrt((y * y).mean(self.averaged, keepdims=True)))
        return param - lr * scale * y


def gradients(shape, num_steps):
    """Gradients of realistic size; with experts: busy, quiet, suddenly quiet, and growing ones."""
    rng = np.random.default_rng(0)
    for step in range(num_steps):
        gradient = rng.normal(size=shape) * 1e-4
        if len(shape) == 3:
            gradient[1] *= 0.1
            gradient[2] *= 1.0 if step < 25 else 1e-3
            gradient[3] *= 1.02**step
            if step == 30:
                gradient[0] = 0.0  # no token reached the expert
        yield gradient


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_adafactor_equals_t5x_over_50_steps(name, dtype, rtol):
    shape = SHAPES[name]
    initial = np.random.default_rng(1).normal(size=shape)
    if len(shape) == 3:
        initial *= np.array([1.0, 1e-4, 0.3, 4.0])[:, None, None]
    expected, reference = initial.copy(), T5XAdafactor(shape)
    weight = torch.nn.Parameter(torch.tensor(initial, dtype=dtype))
    optimizer = Adafactor([weight], lr=LR)
    for values in gradients(shape, 50):
        weight.grad = torch.tensor(values, dtype=dtype)
        optimizer.step()
        expected = reference.update(expected, values, LR)
    scale = np.sqrt((expected**2).mean())
    difference = np.abs(weight.detach().double().numpy() - expected).max()
    assert difference <= rtol * scale
    assert np.abs(expected - initial).max() > 100 * rtol * scale


def test_adafactor_moves_quiet_and_busy_experts_equally():
    """torch's Adafactor distorts an expert whose gradient is 10 times smaller."""
    weight = torch.nn.Parameter(torch.ones(2, 128, 128))
    optimizer = Adafactor([weight], lr=LR)
    torch.manual_seed(0)
    for _ in range(10):
        gradient = torch.randn(128, 128)
        weight.grad = torch.stack([gradient * 1e-4, gradient * 1e-5])
        optimizer.step()
    busy, quiet = (weight.detach() - 1).norm(dim=(1, 2)).tolist()
    assert quiet / busy == pytest.approx(1.0, rel=1e-3)


def test_adafactor_weight_decay_shrinks_weights_by_lr_times_the_rate():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = Adafactor([weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.zeros(3)
    optimizer.step()
    assert weight.tolist() == pytest.approx([0.95] * 3)


@pytest.mark.multiprocess
def test_adafactor_with_sharded_weights_equals_a_single_rank(tmp_path):
    run_on_ranks("tests.models.training.update_sharded_adafactor", [4], tmp_path / "weights.pt")
    sharded = torch.load(tmp_path / "weights.pt")
    for name, (shape, _) in CASES.items():
        weight = torch.nn.Parameter(initial_weight(shape))
        optimizer = Adafactor([weight], lr=0.1)
        for step in range(6):
            weight.grad = gradient(shape, step)
            optimizer.step()
        torch.testing.assert_close(
            sharded[name], weight.detach(), atol=1e-12, rtol=1e-12, msg=f"{name} differs"
        )
