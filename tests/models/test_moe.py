"""Routers, experts and dispatch against a loop over tokens in float64 (moe_reference.py)."""

import importlib.util
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.dispatch.padded import rows_needed, run_padded
from models.architecture.moe.dispatch.table import BACKENDS
from models.architecture.moe.dispatch.tutel import choices
from models.architecture.moe.expert_gemm import grouped
from models.architecture.moe.losses import balance_loss, router_z_loss
from models.architecture.moe.routing import capacity, slots
from tests.models.moe_reference import (
    ROUTERS,
    brute_force,
    build,
    config,
    feed_forward,
    gradients,
    in_float64,
)

HERE = ["native", "fairscale"] + (["tutel"] if importlib.util.find_spec("tutel") else [])


@pytest.fixture(scope="module")
def backends():
    yield {name: BACKENDS[name](None) for name in HERE}
    torch.distributed.destroy_process_group()  # fairscale's group of one


def everything_valid(x):
    return torch.ones(x.shape[:2], dtype=torch.bool)


CASES = {
    "seed": st.integers(0, 10_000),
    "rows": st.integers(1, 3),
    "length": st.integers(1, 14),
    "experts": st.integers(2, 9),
    "router": st.sampled_from(list(ROUTERS)),
    "factor": st.sampled_from([None, 0.3, 1.0, 1.25]),
    "activation": st.sampled_from(["relu", "gated_gelu"]),
    "dense_residual": st.booleans(),
    "padding": st.booleans(),
    "priority": st.booleans(),
    "group_rows": st.sampled_from([None, 1, 2]),
    "training": st.booleans(),
}


def compare(dispatch, case, precision=torch.float32):
    made_of = config(
        case["router"],
        case["experts"],
        case["factor"],
        case["activation"],
        dense_residual=case["dense_residual"],
        batch_priority=case["priority"],
        group_rows=case["group_rows"],
    )
    layer = build(made_of, case["seed"]).train(case["training"])
    layer.dispatch = dispatch
    x = torch.randn(case["rows"], case["length"], 8)
    if precision == torch.bfloat16:
        # Inputs that bfloat16 holds exactly: else a rounded input flips a ReLU here and there.
        x = x.bfloat16().float()
        for weight in layer.parameters():
            weight.data = weight.data.bfloat16().float()
    x.requires_grad_()
    valid = torch.rand(x.shape[:2]) > 0.3 if case["padding"] else everything_valid(x)
    # GShard's second expert is drawn: here by 0.5, on both sides.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand_like", lambda like: torch.full_like(like, 0.5))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            y = layer(x, valid)
    weight = torch.randn_like(x)
    exact = in_float64(layer, made_of)
    x64 = x.detach().double().requires_grad_()
    y64 = brute_force(exact, x64, valid)
    close = {torch.float32: (2e-5, 1e-3), torch.bfloat16: (0.06, 0.06)}[precision]
    torch.testing.assert_close(y.double(), y64, atol=close[0], rtol=close[1])
    found = gradients(layer, x, y.float(), weight)
    expected = gradients(exact, x64, y64, weight.double())
    for name, gradient in found.items():
        scale = max(1.0, float(expected[name].abs().max()))
        torch.testing.assert_close(
            gradient.double() / scale,
            expected[name] / scale,
            atol=close[0],
            rtol=close[1],
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("backend", HERE)
@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_output_and_every_gradient_equal_a_loop_over_tokens(backends, backend, **case):
    if backend == "tutel" and case["router"] == "expert_choice":
        return
    compare(backends[backend], case)


@settings(max_examples=30, deadline=None)
@given(**CASES)
def test_bfloat16_equals_the_loop_within_its_precision(**case):
    compare(NativeDispatch(), case, torch.bfloat16)


@pytest.mark.skipif("tutel" in HERE, reason="Tutel is installed, its tests run")
def test_tutel():
    pytest.skip("Tutel is not installed: dispatch through it is not tested here")


@pytest.mark.parametrize("router", ["switch", "gshard", "st_moe"])
def test_what_tutel_is_told_describes_the_routing(router):
    """Its layout, read back by hand: k pairs (expert, row) a token, a row of C: no part in it."""
    layer = build(config(router, 4, 0.5)).eval()
    x = torch.randn(2, 9, 8)
    expected = layer(x, everything_valid(x))
    routing, experts = layer.routing, layer.experts
    rows = rows_needed(routing, None)
    assert rows == max(routing.rows_per_expert_E.tolist())
    expert_KT, row_KT, weight_KT = choices(routing, 18, rows)
    x_TD, taken = x.view(18, 8), torch.zeros(4, rows, 8)
    y = torch.zeros(18, 8)
    tokens = list(range(18)) * len(row_KT)
    for e, r, t in zip(expert_KT.flatten(), row_KT.flatten(), tokens, strict=True):
        if r < rows:
            assert (taken[e, r] == 0).all()  # no two tokens in one row
            taken[e, r] = x_TD[t]
    out = run_padded(taken, experts)
    for k in range(len(expert_KT)):
        for t in range(18):
            if row_KT[k, t] < rows:
                y[t] += weight_KT[k, t] * out[expert_KT[k, t], row_KT[k, t]]
    torch.testing.assert_close(y.view_as(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_one_grouped_product_equals_the_loop_over_experts(activation):
    """What runs on a GPU, here on a CPU: in bfloat16, with an empty expert."""
    layer = build(config("st_moe", 4, None, activation, d_model=16, d_ff=32))
    x = torch.randn(24, 16, requires_grad=True)
    token_A, weight_A = torch.randint(0, 24, (40,)), torch.rand(40, requires_grad=True)
    rows_E = torch.tensor([17, 0, 3, 20])

    def run(function):
        y = function()
        inputs = [x, weight_A, *layer.experts.parameters()]
        return y, torch.autograd.grad((y.float() ** 2).sum(), inputs)

    with torch.autocast("cpu", torch.bfloat16):
        expected = run(lambda: layer.experts(x, token_A, rows_E, weight_A))
        found = run(
            lambda: grouped(
                x, token_A, rows_E, weight_A, *layer.experts.weights(), dropout=0.0,
                dtype=torch.bfloat16,
            )
        )  # fmt: skip
    torch.testing.assert_close(found[0], expected[0], atol=0.05, rtol=0.05)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("router", ROUTERS)
def test_no_token_at_all(backends, router, backend):
    if backend == "tutel" and router == "expert_choice":
        pytest.skip("Tutel does not serve expert choice")
    layer = build(config(router, 4, 1.25))
    layer.dispatch = backends[backend]
    for x in (torch.randn(1, 3, 8, requires_grad=True), torch.zeros(1, 0, 8, requires_grad=True)):
        y = layer(x, torch.zeros(x.shape[:2], dtype=torch.bool))
        assert y.shape == x.shape
        assert (y == 0).all()
        (y.sum() + layer.routing.balance_loss + layer.routing.z_loss).backward()
        assert int(layer.routing.load.assigned) == 0


@pytest.mark.parametrize("router", ROUTERS)
def test_padding_takes_no_capacity(router):
    layer = build(config(router, 2, 1.0)).eval()
    x = torch.randn(1, 8, 8)
    valid = torch.tensor([[True] * 4 + [False] * 4])
    torch.testing.assert_close(layer(x, valid)[:, :4], layer(x[:, :4], valid[:, :4]))


@pytest.mark.parametrize("router", ROUTERS)
def test_a_group_of_its_own_does_not_depend_on_its_neighbours(router):
    layer = build(config(router, 4, 0.5, group_rows=1)).eval()
    x = torch.randn(3, 6, 8)
    together = layer(x, everything_valid(x))
    for row in range(3):
        alone = layer(x[row : row + 1], everything_valid(x[row : row + 1]))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_capacity_as_published():
    assert capacity(1024, 128, 1, 1.25, 4) == 10
    assert capacity(8, 128, 1, 1.25, 4) == 4
    assert capacity(2, 128, 1, 1.25, 4) == 2  # never more rows than there are tokens
    assert capacity(100, 8, 1, None, 4) == 100


def one_sided(**moe):
    """All tokens choose expert 0; it takes ceil(0.5 * 8 / 2) = 2 of 8."""
    layer = build(config("switch", 2, 0.5, **moe))
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[1.0] * 8, [-1.0] * 8]))
    return layer


def test_overflowing_tokens_are_dropped_in_order():
    layer = one_sided()
    x = torch.rand(1, 8, 8) + 0.1
    y = layer(x, everything_valid(x))
    assert layer.routing.token_A.tolist() == [0, 1]
    assert int(layer.routing.load.dropped) == 6
    assert layer.routing.load.tokens_per_expert_E.tolist() == [8, 0]
    assert (y[0, 2:] == 0).all()


def test_with_batch_priority_the_least_certain_tokens_are_dropped():
    layer = one_sided(batch_priority=True)
    x = torch.full((1, 8, 8), 0.01) * torch.arange(1, 9)[None, :, None]
    layer(x, everything_valid(x))
    assert sorted(layer.routing.token_A.tolist()) == [6, 7]


def test_first_choices_take_room_before_second_ones():
    layer = build(config("st_moe", 3, 0.75)).eval()  # ceil(0.75 * 4 * 2 / 3) = 2 rows an expert
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[:, :3] = torch.eye(3)
    x = torch.zeros(1, 4, 8)
    x[0, :2, :3] = torch.tensor([2.0, 1.0, 0.0])  # first 0, then 1
    x[0, 2:, :3] = torch.tensor([0.0, 2.0, 1.0])  # first 1, then 2
    layer(x, everything_valid(x))
    pairs = set(zip(layer.routing.token_A.tolist(), layer.routing.expert_A.tolist(), strict=True))
    assert pairs == {(0, 0), (1, 0), (2, 1), (3, 1), (2, 2), (3, 2)}


def test_gshard_uses_the_second_expert_in_proportion_to_its_gate():
    layer = build(config("gshard", 2, None)).train()
    with torch.no_grad():  # gates 0.8 and 0.2: used in 40 % of the tokens
        layer.router.weight.zero_()
        layer.router.weight[0, 0] = math.log(4)
    x = torch.zeros(1, 20_000, 8)
    x[..., 0] = 1.0
    layer(x, everything_valid(x))
    share = int(layer.routing.load.tokens_per_expert_E[1]) / 20_000
    assert share == pytest.approx(0.4, abs=0.015)  # four standard errors
    layer.eval()(x, everything_valid(x))
    assert layer.routing.load.tokens_per_expert_E.tolist() == [20_000, 20_000]


def test_expert_choice_fills_every_expert_and_counts_who_is_left_out():
    layer = build(config("expert_choice", 4, 1.0, k=1), spread=3.0)
    x = torch.randn(2, 16, 8)
    layer(x, everything_valid(x))
    routing = layer.routing
    assert routing.rows_per_expert_E.tolist() == [8, 8, 8, 8]
    assert int(routing.load.dropped) == 32 - len(set(routing.token_A.tolist()))
    assert int(routing.load.assigned) == 32


def test_slots():
    assert slots(torch.tensor([0, 1, 0, 0, 1]), 3).tolist() == [0, 0, 1, 2, 1]


def test_balance_loss_is_1_when_even_and_E_when_collapsed():
    even = torch.full((8, 4), 0.25)
    assert balance_loss(torch.full((4,), 2), even.mean(0)).item() == pytest.approx(1.0)
    collapsed = torch.zeros(8, 4)
    collapsed[:, 2] = 1.0
    assert balance_loss(torch.tensor([0, 0, 8, 0]), collapsed.mean(0)).item() == pytest.approx(4.0)


def test_router_z_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    by_hand = (math.log(2) ** 2 + math.log(math.e + math.e**3) ** 2) / 2
    assert router_z_loss(logits).item() == pytest.approx(by_hand, rel=1e-6)


def test_balance_loss_equals_that_of_transformers_switch():
    from transformers.models.switch_transformers.modeling_switch_transformers import (
        load_balancing_loss_func,
        router_z_loss_func,
    )

    logits = torch.randn(1, 30, 5)
    probs = logits.softmax(-1)
    expert = probs.argmax(-1)
    assert balance_loss(expert[0].bincount(minlength=5), probs[0].mean(0)).item() == pytest.approx(
        load_balancing_loss_func(probs, expert).item(), rel=1e-5
    )
    assert router_z_loss(logits[0]).item() == pytest.approx(
        router_z_loss_func(logits).item(), rel=1e-5
    )


def test_jitter_touches_only_what_the_router_sees():
    layer = build(config("switch", 2, None, jitter=0.3))
    x = torch.randn(1, 64, 8)
    y = layer.train()(x, everything_valid(x))
    routing, experts = layer.routing, layer.experts
    expected = torch.zeros(64, 8)
    for t, e, w in zip(routing.token_A, routing.expert_A, routing.weight_A, strict=True):
        expected[t] = w * feed_forward(x[0, t], experts.wi_EDF[e], None, experts.wo_EFD[e])
    torch.testing.assert_close(y[0], expected, atol=1e-5, rtol=1e-4)
    assert not torch.equal(layer.eval()(x, everything_valid(x)), y)


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_expert_dropout_is_off_outside_training_and_keeps_the_mean_inside(activation):
    made_of = config("switch", 2, None, activation, d_ff=512, expert_dropout=0.5)
    layer = build(made_of)
    x = torch.randn(1, 1, 8).expand(1, 400, 8).contiguous().requires_grad_()
    plain = layer.eval()(x, everything_valid(x))[0, 0].detach()
    y = layer.train()(x, everything_valid(x))
    assert y[0].std(0).min() > 0
    error = y[0].std(0) / 20
    assert ((y[0].mean(0) - plain).abs() < 5 * error).all()
    # The backward pass drops what the forward pass dropped: a directional derivative agrees.
    (y.sum()).backward()
    assert torch.isfinite(x.grad).all()
    state = torch.get_rng_state()

    def total(scale):
        torch.set_rng_state(state)
        wo = layer.experts.wo_EFD
        with torch.no_grad():
            kept = wo.clone()
            wo.mul_(scale)
            value = layer(x, everything_valid(x)).double().sum()
            wo.copy_(kept)
        return value

    torch.set_rng_state(state)
    layer.zero_grad()
    layer(x, everything_valid(x)).sum().backward()
    slope = (layer.experts.wo_EFD.grad * layer.experts.wo_EFD).sum().item()
    assert slope == pytest.approx((total(1.001) - total(0.999)).item() / 0.002, rel=1e-2)


def test_frozen_experts_get_no_gradient_and_the_rest_does():
    layer = build(config("st_moe", 4, None, "gated_gelu"))
    layer.experts.requires_grad_(False)
    x = torch.randn(1, 9, 8, requires_grad=True)
    layer(x, everything_valid(x)).sum().backward()
    assert all(weight.grad is None for weight in layer.experts.parameters())
    assert layer.router.weight.grad.abs().sum() > 0
    assert x.grad.abs().sum() > 0
