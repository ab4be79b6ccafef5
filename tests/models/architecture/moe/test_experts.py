import pytest
import torch

from tests.models.architecture.moe.factories import all_valid, build_layer, moe_model_config


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_expert_dropout_preserves_the_mean_in_training_and_is_off_in_evaluation(activation):
    config = moe_model_config("switch", 2, None, activation, d_ff=512, expert_dropout=0.5)
    layer = build_layer(config)
    x = torch.randn(1, 1, 8).expand(1, 400, 8).contiguous().requires_grad_()
    expected = layer.eval()(x, all_valid(x))[0, 0].detach()
    y = layer.train()(x, all_valid(x))
    standard_error = y[0].std(0) / 20
    assert standard_error.min() > 0
    assert ((y[0].mean(0) - expected).abs() < 5 * standard_error).all()
    y.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_expert_dropout_uses_the_same_mask_in_the_backward_pass(activation):
    """The directional derivative along wo equals a finite difference with the same mask."""
    config = moe_model_config("switch", 2, None, activation, d_ff=512, expert_dropout=0.5)
    layer = build_layer(config).train()
    x = torch.randn(1, 1, 8).expand(1, 400, 8).contiguous()
    random_state = torch.get_rng_state()
    wo = layer.experts.wo_EFD

    def output_sum(scale):
        torch.set_rng_state(random_state)
        with torch.no_grad():
            unscaled = wo.clone()
            wo.mul_(scale)
            value = layer(x, all_valid(x)).double().sum()
            wo.copy_(unscaled)
        return value.item()

    torch.set_rng_state(random_state)
    layer(x, all_valid(x)).sum().backward()
    slope = (wo.grad * wo).sum().item()
    difference = (output_sum(1.001) - output_sum(0.999)) / 0.002
    assert slope == pytest.approx(difference, rel=1e-2)


def test_frozen_experts_have_no_gradient_and_other_weights_have():
    layer = build_layer(moe_model_config("st_moe", 4, None, "gated_gelu"))
    layer.experts.requires_grad_(False)
    x = torch.randn(1, 9, 8, requires_grad=True)
    layer(x, all_valid(x)).sum().backward()
    assert all(weight.grad is None for weight in layer.experts.parameters())
    assert layer.router.weight.grad.abs().sum() > 0
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("trained", [("wi_EDF",), ("wg_EDF",), ("wo_EFD",), ("wi_EDF", "wo_EFD")])
@pytest.mark.parametrize("is_input_trained", [False, True])
def test_partly_frozen_experts_have_the_gradients_of_trained_ones(trained, is_input_trained):
    layer = build_layer(moe_model_config("st_moe", 4, None, "gated_gelu"))
    x = torch.randn(1, 9, 8, requires_grad=True)
    layer(x, all_valid(x)).square().sum().backward()
    expected = {name: weight.grad for name, weight in layer.experts.named_parameters()}
    for name, weight in layer.experts.named_parameters():
        weight.grad = None
        weight.requires_grad_(name in trained)
    frozen_x = x.detach().clone().requires_grad_(is_input_trained)
    layer(frozen_x, all_valid(x)).square().sum().backward()
    for name, weight in layer.experts.named_parameters():
        if name in trained:
            torch.testing.assert_close(weight.grad, expected[name])
        else:
            assert weight.grad is None
    if is_input_trained:
        torch.testing.assert_close(frozen_x.grad, x.grad)
