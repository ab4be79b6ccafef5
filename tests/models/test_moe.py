"""Routing and dispatch against a loop over tokens in float64, and the published definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture.moe.layer import MoELayer
from models.architecture.moe.losses import balance_loss, router_z_loss
from models.architecture.moe.routing import capacity, slots
from models.config import ModelConfig, MoEConfig


def layer(experts, factor, activation="relu", dense_beside=False, d_model=8, d_ff=16):
    config = ModelConfig(
        vocab_size=8,
        d_model=d_model,
        d_ff=d_ff,
        num_heads=1,
        d_kv=8,
        num_layers=2,
        activation=activation,
        moe=MoEConfig(
            num_experts=experts,
            capacity_factor_train=factor,
            capacity_factor_eval=factor,
            min_capacity=1,
            expert_dropout=0.0,
            dense_beside=dense_beside,
        ),
    )
    made = MoELayer(config)
    for module in made.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return made


def brute_force(made, x_TD, valid_T):
    """Token by token: the most probable expert, while it has room."""
    moe, experts = made.router.config, made.experts
    room = [
        capacity(
            int(valid_T.sum()), moe.num_experts, 1, moe.capacity_factor_train, moe.min_capacity
        )
    ] * moe.num_experts
    rows = []
    for x, valid in zip(x_TD, valid_T.tolist(), strict=True):
        y = torch.zeros_like(x)
        if valid:
            probs = torch.softmax(made.router.weight @ x, dim=0)
            e = int(probs.argmax())
            if room[e] > 0:
                room[e] -= 1
                h = x @ experts.wi_EDF[e]
                if experts.wg_EDF is None:
                    h = torch.relu(h)
                else:
                    h = torch.nn.functional.gelu(h, approximate="tanh") * (x @ experts.wg_EDF[e])
                y = probs[e] * (h @ experts.wo_EFD[e])
        if made.dense is not None:
            dense = made.dense
            h = (
                torch.relu(dense.wi @ x)
                if dense.wg is None
                else (torch.nn.functional.gelu(dense.wi @ x, approximate="tanh") * (dense.wg @ x))
            )
            y = y + dense.wo @ h
        rows.append(y)
    return torch.stack(rows)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 40),
    experts=st.integers(2, 9),
    factor=st.sampled_from([None, 0.5, 1.0, 1.25]),
    activation=st.sampled_from(["relu", "gated_gelu"]),
    dense_beside=st.booleans(),
    padding=st.booleans(),
)
def test_output_and_every_gradient_equal_a_loop_over_tokens(
    seed, tokens, experts, factor, activation, dense_beside, padding
):
    torch.manual_seed(seed)
    made = layer(experts, factor, activation, dense_beside)
    # Spread the router, so that loads are uneven and some experts empty.
    torch.nn.init.normal_(made.router.weight, std=1.0)
    x = torch.randn(1, tokens, 8, requires_grad=True)
    valid = torch.rand(1, tokens) > 0.3 if padding else torch.ones(1, tokens, dtype=torch.bool)
    y = made(x, valid)
    weight = torch.randn_like(y)
    (y * weight).sum().backward()
    found = {name: p.grad for name, p in made.named_parameters()} | {"x": x.grad}

    exact = layer(experts, factor, activation, dense_beside).double()
    exact.load_state_dict({k: v.double() for k, v in made.state_dict().items()})
    x64 = x.detach()[0].double().requires_grad_()
    y64 = brute_force(exact, x64, valid[0])
    if y64.requires_grad:  # not where every token is padding
        (y64 * weight[0].double()).sum().backward()
    torch.testing.assert_close(y[0].double(), y64, atol=1e-5, rtol=1e-4)
    x_gradient = None if x64.grad is None else x64.grad[None]
    expected = {name: p.grad for name, p in exact.named_parameters()} | {"x": x_gradient}
    for name, gradient in found.items():
        reference = expected[name]
        if gradient is None or reference is None:
            assert (gradient if gradient is not None else torch.zeros(1)).abs().max() == 0, name
            assert (reference if reference is not None else torch.zeros(1)).abs().max() == 0, name
            continue
        torch.testing.assert_close(gradient.double(), reference, atol=2e-5, rtol=1e-3)


def test_no_token_at_all():
    made = layer(4, 1.25)
    x = torch.randn(1, 3, 8, requires_grad=True)
    y = made(x, torch.zeros(1, 3, dtype=torch.bool))
    assert (y == 0).all()
    (y.sum() + made.routing.balance_loss + made.routing.z_loss).backward()
    assert int(made.routing.load.assigned) == 0


def test_padding_takes_no_capacity():
    torch.manual_seed(0)
    made = layer(2, 1.0)
    x = torch.randn(1, 8, 8)
    valid = torch.tensor([[True] * 4 + [False] * 4])
    torch.testing.assert_close(made(x, valid)[:, :4], made(x[:, :4], valid[:, :4]))


def test_capacity_as_published():
    assert capacity(1024, 128, 1, 1.25, 4) == 10
    assert capacity(8, 128, 1, 1.25, 4) == 4
    assert capacity(2, 128, 1, 1.25, 4) == 2  # never more rows than there are tokens
    assert capacity(100, 8, 1, None, 4) == 100


def test_overflowing_tokens_are_dropped_in_order():
    made = layer(2, 0.5)
    with torch.no_grad():
        made.router.weight.copy_(torch.tensor([[1.0] * 8, [-1.0] * 8]))
    x = torch.rand(1, 8, 8) + 0.1  # all of them choose expert 0; it takes ceil(0.5 * 8 / 2) = 2
    y = made(x, torch.ones(1, 8, dtype=torch.bool))
    assert made.routing.token_A.tolist() == [0, 1]
    assert int(made.routing.load.dropped) == 6
    assert made.routing.load.tokens_per_expert_E.tolist() == [8, 0]
    assert (y[0, 2:] == 0).all()


def test_slots():
    assert slots(torch.tensor([0, 1, 0, 0, 1]), 3).tolist() == [0, 0, 1, 2, 1]


def test_balance_loss_is_1_when_even_and_E_when_collapsed():
    even = torch.full((8, 4), 0.25)
    assert balance_loss(even, torch.arange(8) % 4).item() == pytest.approx(1.0)
    collapsed = torch.zeros(8, 4)
    collapsed[:, 2] = 1.0
    assert balance_loss(collapsed, torch.full((8,), 2)).item() == pytest.approx(4.0)


def test_router_z_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    by_hand = (math.log(2) ** 2 + math.log(math.e + math.e**3) ** 2) / 2
    assert router_z_loss(logits).item() == pytest.approx(by_hand, rel=1e-6)


def test_jitter_touches_only_what_the_router_sees():
    torch.manual_seed(0)
    made = layer(2, None)
    object.__setattr__(made.router.config, "jitter", 0.3)
    x, valid = torch.randn(1, 64, 8), torch.ones(1, 64, dtype=torch.bool)
    made.train()
    y = made(x, valid)
    routing = made.routing
    expected = torch.zeros(64, 8)
    for t, e, w in zip(routing.token_A, routing.expert_A, routing.weight_A, strict=True):
        h = torch.relu(x[0, t] @ made.experts.wi_EDF[e]) @ made.experts.wo_EFD[e]
        expected[t] = w * h
    torch.testing.assert_close(y[0], expected, atol=1e-5, rtol=1e-4)
    made.eval()
    assert not torch.equal(made(x, valid), y)
