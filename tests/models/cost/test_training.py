"""Training FLOPs against torch's counter, for every kind of freezing."""

import dataclasses
from typing import get_args

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.cost.flops import forward_flops
from models.cost.training import training_flops
from models.presets import preset
from models.training.freezing import freeze
from models.training.loss import compute_loss
from models.training.params import FreezePolicy

ROWS, ENCODER_TOKENS, DECODER_TOKENS = 2, 48, 20
POLICIES = (None, *get_args(FreezePolicy))


def build_config(router, activation="gated_gelu", **changes):
    """Return a model with two MoE layers a stack; expert choice has factor 1.5, others no limit."""
    moe = router and MoEConfig(
        num_experts=4, router=router, top_k=2 if router in ("gshard", "st_moe") else 1,
        capacity_factor_train=1.5 if router == "expert_choice" else None,
        capacity_factor_eval=1.5 if router == "expert_choice" else None, expert_dropout=0.0,
        **({"decoder_router": "st_moe", "decoder_top_k": 2} if router == "expert_choice" else {}),
        **changes,
    )  # fmt: skip
    return ModelConfig(
        vocab_size=320, d_model=48, d_ff=96, num_heads=4, d_kv=16, num_layers=4,
        activation=activation, moe=moe or None,
    )  # fmt: skip


def count_step(config, policy, *, activation_checkpointing=False):
    """Count a forward and backward pass with torch.

    In float64, where no product goes through oneDNN, whose operations the counter ignores, with
    attention as separate products; in evaluation mode, where gshard uses every second choice.
    """
    model = T5(config).reset_parameters(0).eval().double()
    freeze(model, policy)
    model.activation_checkpointing = activation_checkpointing
    for name, layer in model.moe_layers().items():
        if name.startswith("decoder"):  # in which expert choice's factor would drop tokens
            layer.router.config = dataclasses.replace(
                layer.router.config, capacity_factor_eval=None
            )
    generator = torch.Generator().manual_seed(0)
    x, y = (
        torch.randint(2, 320, (ROWS, length), generator=generator)
        for length in (ENCODER_TOKENS, DECODER_TOKENS)
    )
    batch = {
        "encoder_input_tokens": x, "encoder_segment_ids": torch.ones_like(x),
        "decoder_input_tokens": y, "decoder_segment_ids": torch.ones_like(y),
        "decoder_target_tokens": y,
    }  # fmt: skip
    with (
        FlopCounterMode(display=False) as counter,
        sdpa_kernel(SDPBackend.MATH),
        set_checkpoint_early_stop(False),
    ):
        compute_loss(model, model, batch).total.backward()
    return counter.get_total_flops()


def compute_step(config, policy, **changes):
    return training_flops(
        config, encoder_tokens=ENCODER_TOKENS, decoder_tokens=DECODER_TOKENS, rows=ROWS,
        freeze=policy, **changes,
    )  # fmt: skip


CASES = [
    *((build_config(None, activation), None) for activation in ("relu", "gated_gelu")),
    *(
        (config, policy)
        for config in (
            build_config("switch", "relu"),
            build_config("gshard", dense_after_moe=True),
            build_config("st_moe", moe_every=1),
            build_config("expert_choice"),
        )
        for policy in POLICIES
    ),
]


@pytest.mark.parametrize(("config", "policy"), CASES)
def test_training_flops_equal_torch_flop_counter(config, policy):
    computed = compute_step(config, policy)
    assert computed.total == pytest.approx(count_step(config, policy), rel=0.005)
    forward = forward_flops(
        config, encoder_tokens=ENCODER_TOKENS, decoder_tokens=DECODER_TOKENS, training=True
    )
    assert computed.forward == ROWS * forward.total
    assert computed.recomputation == 0


@pytest.mark.parametrize("moe_every", [2, 4])
@pytest.mark.parametrize("policy", POLICIES)
def test_recomputation_equals_torch_flop_counter(policy, moe_every):
    config = build_config("st_moe", moe_every=moe_every, dense_after_moe=True)
    computed = compute_step(config, policy, activation_checkpointing=True)
    counted = [count_step(config, policy, activation_checkpointing=on) for on in (False, True)]
    assert computed.total == pytest.approx(counted[0], rel=0.005)
    assert computed.recomputation == pytest.approx(counted[1] - counted[0], rel=0.005)


def test_frozen_parts_cost_no_gradient():
    """`all_but_gate` trains 1 % of the weights, so it costs far less than three forward passes."""
    config = preset("tiny_switch")
    lengths = {"encoder_tokens": 128, "decoder_tokens": 48, "rows": 10}
    everything = training_flops(config, **lengths)
    assert everything.backward == 2 * everything.forward
    only_gate = training_flops(config, **lengths, freeze="all_but_gate")
    assert only_gate.forward == everything.forward
    assert everything.total > 1.6 * only_gate.total
    frozen_gate = training_flops(config, **lengths, freeze="gate")
    assert 0.99 * everything.total < frozen_gate.total < everything.total
