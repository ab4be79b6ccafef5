"""The cost model against published figures, torch's counter and real modules."""

import dataclasses
import time

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.architecture.moe.routers.checks import SUPPORTED_TOP_K
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.cost import flops
from models.presets import PRESETS, preset

# (preset, quantity, computed, published); a difference of 5-6 % is rounding in the papers.
# st_32b: Zoph et al., arXiv 2202.08906, and per token Shen et al., arXiv 2305.14705; Switch: Fedus
# et al., arXiv 2101.03961.
PUBLISHED = [
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


@pytest.mark.parametrize(("name", "quantity", "computed", "published"), PUBLISHED)
def test_parameters_and_flops_equal_the_published_figures(name, quantity, computed, published):
    config = preset(name)
    value = {
        "parameters": flops.count_parameters(config).total,
        "sequence": flops.published_flops(config),
        "token": flops.flops_per_token(config),
    }[quantity]
    assert value == pytest.approx(computed, rel=0.01)
    assert value == pytest.approx(published, rel=0.07 if name == "switch_base" else 0.06)


@pytest.mark.parametrize(
    ("published", "num_experts"), [(548e6, 16), (1.0e9, 32), (1.9e9, 64), (3.7e9, 128)]
)
def test_decoder_only_parameters_equal_the_published_counts(published, num_experts):
    """Expert choice, Zhou et al., arXiv 2202.09368, table 1: L12 d768 ff3072, 145 M active."""
    config = ModelConfig(
        vocab_size=32_128, d_model=768, d_ff=3072, num_heads=12, d_kv=64, num_layers=12,
        activation="relu", tie_word_embeddings=True,
        moe=MoEConfig(num_experts=num_experts, router="st_moe", top_k=2),
    )  # fmt: skip
    stack = list(flops.stack_weight_shapes(config, decoder=True, cross_attention=False))
    embedding = config.vocab_size * config.d_model
    total = embedding + sum(w.size * w.num_copies for w in stack)
    active = embedding + sum(w.size * w.num_active for w in stack)
    assert total == pytest.approx(published, rel=0.06)
    assert active == pytest.approx(145e6, rel=0.06)


@pytest.mark.parametrize("dense_after_moe", [False, True])
@pytest.mark.parametrize("router", [None, *SUPPORTED_TOP_K])
@pytest.mark.parametrize("activation", ["relu", "gated_gelu"])
def test_forward_flops_equal_torch_flop_counter(router, activation, dense_after_moe):
    """Use float64, where no product goes through oneDNN, whose operations the counter ignores."""
    moe = router and MoEConfig(
        num_experts=4, capacity_factor_eval=1.0 if router == "expert_choice" else None,
        dense_after_moe=dense_after_moe, router=router,
        top_k=2 if router in ("gshard", "st_moe") else 1,
        **({"decoder_router": "st_moe", "decoder_top_k": 2} if router == "expert_choice" else {}),
    )  # fmt: skip
    config = ModelConfig(
        vocab_size=320, d_model=48, d_ff=96, num_heads=4, d_kv=16, num_layers=4,
        activation=activation, moe=moe or None,
    )  # fmt: skip
    model = T5(config).reset_parameters(0).eval().double()
    for name, layer in model.moe_layers().items():
        if name.startswith("decoder"):  # in which expert choice's factor would drop tokens
            layer.router.config = dataclasses.replace(
                layer.router.config, capacity_factor_eval=None
            )
    x, y = torch.randint(2, 320, (3, 40)), torch.randint(2, 320, (3, 17))
    # The counter counts attention only as the separate products of the "math" backend on a CPU.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(x, torch.ones_like(x), y, torch.ones_like(y))
    expected = 3 * flops.forward_flops(config, encoder_tokens=40, decoder_tokens=17).total
    assert expected == pytest.approx(counter.get_total_flops(), rel=0.025)


@pytest.mark.parametrize("name", PRESETS)
def test_count_parameters_equals_a_model_on_the_meta_device(name):
    with torch.device("meta"):
        model = T5(preset(name))
    expected = sum(p.numel() for p in model.parameters())
    assert flops.count_parameters(preset(name)).total == expected


def test_st_32b_on_the_meta_device_takes_seconds_and_no_memory():
    import resource

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with torch.device("meta"):
        model = T5(preset("st_32b"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(269.1e9, rel=0.001)
    assert time.monotonic() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


def test_tiny_models_have_the_same_active_compute():
    dense, moe = preset("tiny_dense"), preset("tiny_switch")
    assert moe.dense_twin() == dense
    # They differ by the router only, 2 % of so small a model.
    assert flops.flops_per_token(moe) == pytest.approx(flops.flops_per_token(dense), rel=0.025)
    assert flops.count_parameters(moe).total > 1.9 * flops.count_parameters(dense).total


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.0])
def test_expert_choice_costs_scale_with_the_capacity_factor(factor):
    """Top-k of E experts choose on average; more than E experts per token do not exist."""
    base = preset("ec_base")
    scaled = dataclasses.replace(
        base,
        moe=dataclasses.replace(
            base.moe, capacity_factor_train=2 * factor, capacity_factor_eval=factor
        ),
    )
    lengths = {"encoder_tokens": 512, "decoder_tokens": 128}
    for training, ratio in ((False, factor), (True, 2 * factor)):
        expected, value = (
            flops.forward_flops(config, **lengths, training=training) for config in (base, scaled)
        )
        assert value.encoder.experts == ratio * expected.encoder.experts
        # The decoder has token choice, whose capacity factor only drops tokens.
        assert value.decoder == expected.decoder
    difference = flops.count_parameters(scaled).active - flops.count_parameters(base).active
    expert_weights = 3 * base.d_model * base.d_ff
    assert difference == round((factor - 1) * 6 * expert_weights)
    assert flops.count_parameters(scaled).total == flops.count_parameters(base).total
    per_token = [flops.flops_per_stack_token(config).encoder for config in (base, scaled)]
    assert per_token[1] - per_token[0] == round(2 * difference)


@pytest.mark.parametrize("factor", [3.0, None])
def test_expert_choice_computes_at_most_every_expert(factor):
    moe = MoEConfig(num_experts=2, router="expert_choice", capacity_factor_eval=factor)
    assert flops.experts_per_token(moe, training=False) == 2


def test_expert_choice_of_a_short_group_has_the_minimum_capacity():
    moe = preset("tiny_ec").stack_moe_config(decoder=False)
    model = T5(preset("tiny_ec")).eval()
    for num_tokens in (1, 3, 10, 37, 64):
        tokens = torch.full((1, num_tokens), 5)
        with torch.no_grad():
            model.encode(tokens, torch.ones_like(tokens))
        (layer, *_) = model.moe_layers().values()
        expected = int(layer.routing.tokens_per_expert_E.sum())
        assert flops.expert_rows(moe, num_tokens, training=False) == expected
