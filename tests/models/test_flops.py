"""The cost model against published figures, torch's counter and real modules."""

import dataclasses
import time

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.architecture.moe.routers.checks import ROUTER_CHOICES
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.cost import flops
from models.cost.matching import D_FF_STEP, matches
from models.cost.memory import OPTIMIZERS, training_memory
from models.presets import PRESETS, preset

# (preset, what, computed, published); published 5-6% off means rounding in the papers.
# st_32b: Zoph et al., arXiv 2202.08906; Switch: arXiv 2101.03961; 32.1: Shen et al., 2305.14705.
GOLDEN = [
    ("st_32b", "parameters", 269.1e9, 269e9),
    ("st_32b", "sequence", 20.18e12, 20.2e12),
    ("st_32b", "token", 32.2e9, 32.1e9),
    ("switch_xxl", "parameters", 394.7e9, 395e9),
    ("switch_c", "parameters", 1571.3e9, 1571e9),
    ("switch_base", "parameters", 7.42e9, 7e9),
    ("switch_large", "parameters", 26.31e9, 26e9),
    ("t5_xxl", "sequence", 6.20e12, 6.3e12),
    ("t5_base", "sequence", 0.118e12, 0.124e12),
    ("t5_large", "sequence", 0.416e12, 0.425e12),
    # Raffel et al., arXiv 1910.10683, section 3.2: 60 M, 220 M, 770 M, 2.8 B, 11 B.
    ("t5_v1_0_small", "parameters", 60.5e6, 60e6),
    ("t5_v1_0_base", "parameters", 223e6, 220e6),
    ("t5_v1_0_large", "parameters", 738e6, 770e6),
    ("t5_v1_0_3b", "parameters", 2.85e9, 2.8e9),
    ("t5_v1_0_11b", "parameters", 11.3e9, 11e9),
]


@pytest.mark.parametrize(("name", "what", "computed", "published"), GOLDEN)
def test_golden_figures(name, what, computed, published):
    config = preset(name)
    found = {
        "parameters": flops.parameters(config).total,
        "sequence": flops.published(config),
        "token": flops.per_token(config),
    }[what]
    assert found == pytest.approx(computed, rel=0.01)
    assert found == pytest.approx(published, rel=0.07 if name == "switch_base" else 0.06)


@pytest.mark.parametrize(
    ("published", "experts"), [(548e6, 16), (1.0e9, 32), (1.9e9, 64), (3.7e9, 128)]
)
def test_expert_choice_decoder_only_as_published(published, experts):
    """Zhou et al., arXiv 2202.09368, table 1: L12 d768 ff3072, 145 M active."""
    config = ModelConfig(
        vocab_size=32_128, d_model=768, d_ff=3072, num_heads=12, d_kv=64, num_layers=12,
        activation="relu", tie_word_embeddings=True,
        moe=MoEConfig(num_experts=experts, router="st_moe", top_k=2),
    )  # fmt: skip
    stack = list(flops.stack_weights(config, decoder=True, cross_attention=False))
    embedding = config.vocab_size * config.d_model
    assert embedding + sum(w.size * w.copies for w in stack) == pytest.approx(published, rel=0.06)
    assert embedding + sum(w.size * w.active for w in stack) == pytest.approx(145e6, rel=0.06)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("router", [None, *ROUTER_CHOICES])
@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_forward_equals_torchs_flop_counter(router, activation, beside):
    """In float64, where our products are torch's own, which the counter knows."""
    moe = router and MoEConfig(
        num_experts=4, capacity_factor_eval=1.0 if router == "expert_choice" else None,
        dense_residual=beside, router=router, top_k=2 if router in ("gshard", "st_moe") else 1,
        **({"decoder_router": "st_moe", "decoder_top_k": 2} if router == "expert_choice" else {}),
    )  # fmt: skip
    config = ModelConfig(
        vocab_size=320, d_model=48, d_ff=96, num_heads=4, d_kv=16, num_layers=4,
        activation=activation, moe=moe or None,
    )  # fmt: skip
    model = T5(config).reset_parameters(0).eval().double()
    for name, layer in model.moe_layers().items():
        if name.startswith("decoder"):  # where expert choice's factor would drop tokens
            layer.router.config = dataclasses.replace(
                layer.router.config, capacity_factor_eval=None
            )
    x, y = torch.randint(2, 320, (3, 40)), torch.randint(2, 320, (3, 17))
    # The counter knows attention only as the plain products of the "math" backend on a CPU.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(x, torch.ones_like(x), y, torch.ones_like(y))
    counted = counter.get_total_flops()
    expected = 3 * flops.forward(config, encoder_tokens=40, decoder_tokens=17).total
    assert expected == pytest.approx(counted, rel=0.005)


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_equal_a_model_on_the_meta_device(name):
    with torch.device("meta"):
        model = T5(preset(name))
    assert flops.parameters(preset(name)).total == sum(p.numel() for p in model.parameters())


def test_st_32b_is_built_in_seconds_and_without_memory():
    import resource

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with torch.device("meta"):
        model = T5(preset("st_32b"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(269.1e9, rel=0.001)
    assert time.monotonic() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


@pytest.mark.parametrize("name", ["tiny_dense", "tiny_switch", "tiny_st"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_memory_equals_what_torchs_optimizers_hold(name, optimizer):
    model = T5(preset(name)).reset_parameters(0)
    kind = {"adamw": torch.optim.AdamW, "adafactor": torch.optim.Adafactor}[optimizer]
    made = kind(model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    held = sum(
        tensor.numel() * 4
        for state in made.state.values()
        for what, tensor in state.items()
        if what != "step" and torch.is_tensor(tensor)
    )
    found = training_memory(preset(name), optimizer)
    assert found.optimizer == held
    total = sum(p.numel() for p in model.parameters())
    assert (found.weights, found.gradients, found.casts) == (4 * total, 4 * total, 2 * total)


@pytest.mark.parametrize("name", [n for n, c in PRESETS.items() if c.moe is not None])
def test_a_matched_dense_model_costs_the_same_per_token(name):
    found = matches(name, preset(name))
    assert found[0].config == preset(name).dense_twin()
    best = min(found, key=lambda m: abs(m.ratio - 1))
    step = flops.per_token(
        dataclasses.replace(best.config, d_ff=best.config.d_ff + D_FF_STEP)
    ) - flops.per_token(best.config)
    # As close as a step of d_ff allows.
    assert abs(flops.per_token(preset(name)) - best.flops_per_token) <= 0.51 * step


def test_tiny_pair_has_the_same_active_compute():
    dense, moe = preset("tiny_dense"), preset("tiny_switch")
    assert moe.dense_twin() == dense
    # The router itself is the only difference.
    assert flops.per_token(moe) == pytest.approx(flops.per_token(dense), rel=0.005)
    assert flops.parameters(moe).total > 1.9 * flops.parameters(dense).total


def test_training_is_three_forward_passes():
    config = preset("tiny_dense")
    one = flops.forward(config, encoder_tokens=64, decoder_tokens=16).total
    assert flops.training(config, encoder_tokens=64, decoder_tokens=16, rows=10) == 30 * one


def test_padding_to_capacity_costs_expert_rows():
    config = dataclasses.replace(preset("tiny_switch"))
    plain = flops.forward(config, encoder_tokens=64, decoder_tokens=16).both
    padded = flops.forward(config, encoder_tokens=64, decoder_tokens=16, expert_rows=1.25).both
    assert padded.capacity == pytest.approx(0.25 * plain.experts)
    assert (padded.experts, plain.capacity) == (plain.experts, 0)
    assert padded.projections == plain.projections
