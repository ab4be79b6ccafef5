import math

import pytest
import torch

from models.architecture.moe.losses import load_balance_loss, router_z_loss


def test_load_balance_loss_is_1_when_balanced():
    probs = torch.full((8, 4), 0.25)
    loss = load_balance_loss(torch.full((4,), 2), probs.mean(0))
    assert loss.item() == pytest.approx(1.0)


def test_load_balance_loss_over_all_choices_is_their_number_when_balanced():
    probs = torch.full((8, 4), 0.25)
    loss = load_balance_loss(torch.full((4,), 4), probs.mean(0), choices_per_token=2)
    assert loss.item() == pytest.approx(2.0)


def test_load_balance_loss_is_the_number_of_experts_when_collapsed():
    probs = torch.zeros(8, 4)
    probs[:, 2] = 1.0
    loss = load_balance_loss(torch.tensor([0, 0, 8, 0]), probs.mean(0))
    assert loss.item() == pytest.approx(4.0)


def test_router_z_loss_equals_its_equation():
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    expected = (math.log(2) ** 2 + math.log(math.e + math.e**3) ** 2) / 2
    assert router_z_loss(logits).item() == pytest.approx(expected, rel=1e-6)


def test_router_losses_equal_those_of_transformers_switch():
    from transformers.models.switch_transformers.modeling_switch_transformers import (
        load_balancing_loss_func,
        router_z_loss_func,
    )

    logits = torch.randn(1, 30, 5)
    probs = logits.softmax(-1)
    expert = probs.argmax(-1)
    loss = load_balance_loss(expert[0].bincount(minlength=5), probs[0].mean(0))
    assert loss.item() == pytest.approx(load_balancing_loss_func(probs, expert).item(), rel=1e-5)
    assert router_z_loss(logits[0]).item() == pytest.approx(
        router_z_loss_func(logits).item(), rel=1e-5
    )
