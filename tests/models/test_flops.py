"""The cost model against published figures, torch's counter and real modules."""

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models import flops
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
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


@pytest.mark.parametrize(("experts", "beside"), [(None, False), (4, False), (4, True)])
@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_forward_equals_torchs_flop_counter(experts, activation, beside):
    moe = experts and MoEConfig(
        num_experts=experts, capacity_factor_eval=None, dense_beside=beside, every=2
    )
    config = ModelConfig(
        vocab_size=320, d_model=48, d_ff=96, num_heads=4, d_kv=16, num_layers=4,
        activation=activation, moe=moe or None,
    )  # fmt: skip
    model = T5(config).reset_parameters(0).eval()
    x, y = torch.randint(2, 320, (3, 40)), torch.randint(2, 320, (3, 17))
    # The counter knows attention only as the plain products of the "math" backend on a CPU.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(x, torch.ones_like(x), y, torch.ones_like(y))
    counted = counter.get_total_flops()
    expected = 3 * flops.forward(config, encoder_tokens=40, decoder_tokens=17).total
    assert expected == pytest.approx(counted, rel=0.005)


@pytest.mark.parametrize(
    "name", [n for n, c in PRESETS.items() if c.moe is None or c.moe.router == "switch"]
)
def test_parameters_equal_a_model_on_the_meta_device(name):
    with torch.device("meta"):
        model = T5(preset(name))
    assert flops.parameters(preset(name)).total == sum(p.numel() for p in model.parameters())


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
    plain = flops.forward(config, encoder_tokens=64, decoder_tokens=16)
    padded = flops.forward(config, encoder_tokens=64, decoder_tokens=16, expert_rows=1.25)
    assert padded.feed_forward > plain.feed_forward
    assert padded.projections == plain.projections
