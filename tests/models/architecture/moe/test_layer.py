"""The MoE layer against the token-by-token reference in float64 (reference.py)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.routers.checks import TOP_2_ROUTERS
from tests.models.architecture.moe.factories import (
    INSTALLED_BACKENDS,
    TOP_K_BY_ROUTER,
    all_valid,
    build_layer,
    moe_model_config,
)
from tests.models.architecture.moe.reference import (
    projected_gradients,
    reference_output,
    to_float64,
)

TOP_2_OPTIONS = ("normalize_gates", "second_expert_threshold")
CASES = {
    "seed": st.integers(0, 10_000),
    "rows": st.integers(1, 3),
    "length": st.integers(1, 14),
    "num_experts": st.integers(2, 9),
    "router": st.sampled_from(list(TOP_K_BY_ROUTER)),
    "capacity_factor": st.sampled_from([None, 0.3, 1.0, 1.25]),
    "activation": st.sampled_from(["relu", "gated_gelu"]),
    "capacity_per": st.sampled_from(["token", "assignment"]),
    "padding": st.booleans(),
    "batch_priority": st.booleans(),
    "groups": st.sampled_from([{}, {"group_rows": 1}, {"group_rows": 2}, {"group_tokens": 5}]),
    "normalize_gates": st.sampled_from([None, False, True]),
    "second_expert_threshold": st.sampled_from([None, 0.0, 0.2]),
    "training": st.booleans(),
}


def assert_equals_reference(dispatcher, case, precision=torch.float32):
    is_top_2 = case["router"] in TOP_2_ROUTERS
    config = moe_model_config(
        case["router"],
        case["num_experts"],
        case["capacity_factor"],
        case["activation"],
        capacity_per=case["capacity_per"],
        batch_priority=case["batch_priority"],
        **case["groups"],
        **({name: case[name] for name in TOP_2_OPTIONS} if is_top_2 else {}),
    )
    layer = build_layer(config, case["seed"]).train(case["training"])
    layer.dispatch = dispatcher
    x = torch.randn(case["rows"], case["length"], 8)
    if precision == torch.bfloat16:
        # Values that bfloat16 represents exactly: rounding an input flips no ReLU.
        x = x.bfloat16().float()
        for weight in layer.parameters():
            weight.data = weight.data.bfloat16().float()
    x.requires_grad_()
    valid = torch.rand(x.shape[:2]) > 0.3 if case["padding"] else all_valid(x)
    # The number drawn to decide whether a second expert is used: 0.5 here and in the reference.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand_like", lambda like: torch.full_like(like, 0.5))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            y = layer(x, valid)
    projection = torch.randn_like(x)
    exact_layer = to_float64(layer, config)
    x64 = x.detach().double().requires_grad_()
    y64 = reference_output(exact_layer, x64, valid)
    atol, rtol = {torch.float32: (2e-5, 1e-3), torch.bfloat16: (0.06, 0.06)}[precision]
    torch.testing.assert_close(y.double(), y64, atol=atol, rtol=rtol)
    gradients = projected_gradients(layer, x, y.float(), projection)
    expected = projected_gradients(exact_layer, x64, y64, projection.double())
    for name, gradient in gradients.items():
        scale = max(1.0, float(expected[name].abs().max()))
        torch.testing.assert_close(
            gradient.double() / scale,
            expected[name] / scale,
            atol=atol,
            rtol=rtol,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("backend", INSTALLED_BACKENDS)
@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_output_and_gradients_equal_the_reference(dispatchers, backend, **case):
    if backend == "tutel" and case["router"] == "expert_choice":
        return
    assert_equals_reference(dispatchers[backend], case)


@settings(max_examples=30, deadline=None)
@given(**CASES)
def test_bfloat16_output_equals_the_reference_within_its_precision(**case):
    assert_equals_reference(NativeDispatch(), case, torch.bfloat16)


@pytest.mark.parametrize("backend", INSTALLED_BACKENDS)
@pytest.mark.parametrize("router", TOP_K_BY_ROUTER)
def test_layer_without_valid_tokens_outputs_zeros(dispatchers, router, backend):
    if backend == "tutel" and router == "expert_choice":
        pytest.skip("Tutel does not support expert choice")
    layer = build_layer(moe_model_config(router, 4, 1.25))
    layer.dispatch = dispatchers[backend]
    for x in (torch.randn(1, 3, 8, requires_grad=True), torch.zeros(1, 0, 8, requires_grad=True)):
        y = layer(x, torch.zeros(x.shape[:2], dtype=torch.bool))
        assert y.shape == x.shape
        assert (y == 0).all()
        (y.sum() + layer.routing.load_balance_loss + layer.routing.z_loss).backward()
        assert int(layer.routing.load.num_requested) == 0


@pytest.mark.parametrize("router", TOP_K_BY_ROUTER)
def test_padding_takes_no_capacity(router):
    layer = build_layer(moe_model_config(router, 2, 1.0)).eval()
    x = torch.randn(1, 8, 8)
    valid = torch.tensor([[True] * 4 + [False] * 4])
    torch.testing.assert_close(layer(x, valid)[:, :4], layer(x[:, :4], valid[:, :4]))


@pytest.mark.parametrize("router", TOP_K_BY_ROUTER)
def test_rows_with_group_rows_1_do_not_depend_on_the_batch(router):
    layer = build_layer(moe_model_config(router, 4, 0.5, group_rows=1)).eval()
    x = torch.randn(3, 6, 8)
    batched = layer(x, all_valid(x))
    for row in range(3):
        single = layer(x[row : row + 1], all_valid(x[row : row + 1]))
        torch.testing.assert_close(batched[row : row + 1], single)
