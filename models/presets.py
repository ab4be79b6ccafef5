"""Published model sizes, and the tiny models of the default run.

Sources: Switch, ST-MoE (also Zoph et al., arXiv 2202.08906) and expert choice (EC) from the MoE
configuration files of google/flaxformer; T5 v1.0 and v1.1 as released, Raffel et al.,
arXiv 1910.10683; GShard at the Switch sizes as in FLAN-MoE, arXiv 2305.14705, with the router of
GShard, arXiv 2006.16668.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from models.choices import Activation, RouterName, invalid_choice
from models.config import ModelConfig, MoEConfig
from models.errors import UnknownModel

T5_VOCAB_SIZE = 32_128


def _t5(
    num_layers: int,
    num_heads: int,
    d_kv: int,
    d_model: int,
    d_ff: int,
    activation: Activation = "gated_gelu",
) -> ModelConfig:
    return ModelConfig(
        vocab_size=T5_VOCAB_SIZE,
        num_layers=num_layers,
        num_heads=num_heads,
        d_kv=d_kv,
        d_model=d_model,
        d_ff=d_ff,
        activation=activation,
        dropout=0.05,
        dropout_shared_along_length=True,
    )


def _with_moe(dense: ModelConfig, moe: MoEConfig) -> ModelConfig:
    return dataclasses.replace(dense, moe=moe)


def _published(dense: ModelConfig, moe: MoEConfig, *, tied: bool = False) -> ModelConfig:
    """Return an MoE of flaxformer's families, which start from small weights."""
    return dataclasses.replace(dense, moe=moe, tie_word_embeddings=tied, init_scale=0.1)


def _switch(num_experts: int, group_tokens: int, **overrides: Any) -> MoEConfig:
    return MoEConfig(
        num_experts=num_experts, router="switch", top_k=1, group_tokens=group_tokens, **overrides
    )


def _st_moe(
    num_experts: int,
    z_loss_weight: float,
    capacity_factor_train: float,
    capacity_factor_eval: float,
    group_tokens: int = 4096,
) -> MoEConfig:
    return MoEConfig(
        num_experts=num_experts,
        router="st_moe",
        top_k=2,
        moe_every=4,
        capacity_factor_train=capacity_factor_train,
        capacity_factor_eval=capacity_factor_eval,
        group_tokens=group_tokens,
        dense_after_moe=True,
        load_balance_loss_choices="all",
        z_loss_weight=z_loss_weight,
    )


def _gshard(num_experts: int) -> MoEConfig:
    return MoEConfig(
        num_experts=num_experts,
        router="gshard",
        top_k=2,
        capacity_factor_train=2.0,
        capacity_factor_eval=2.0,
        group_tokens=4096,
    )


def _expert_choice(num_experts: int) -> MoEConfig:
    return MoEConfig(
        num_experts=num_experts,
        router="expert_choice",
        top_k=1,
        # Expert choice is not causal, so the decoder uses top-2 token choice.
        decoder_router="st_moe",
        decoder_top_k=2,
        capacity_factor_train=1.0,
        capacity_factor_eval=1.0,
        group_tokens=4096,
        # Experts that choose tokens are balanced, so only the decoder has the loss.
        load_balance_loss_weight=0.0,
        decoder_load_balance_loss_weight=0.01,
        load_balance_loss_choices="all",
    )


def _t5_v1_0(num_layers: int, num_heads: int, d_kv: int, d_model: int, d_ff: int) -> ModelConfig:
    return dataclasses.replace(
        _t5(num_layers, num_heads, d_kv, d_model, d_ff, "relu"), tie_word_embeddings=True
    )


def _tiny(router: RouterName, top_k: int, **overrides: Any) -> MoEConfig:
    """Return 16 experts that drop no token in evaluation, so outputs do not depend on the batch."""
    return MoEConfig(
        num_experts=16,
        router=router,
        top_k=top_k,
        capacity_factor_eval=None,
        expert_dropout=0.0,
        **overrides,
    )


TINY = ModelConfig(
    vocab_size=1024,
    num_layers=2,
    num_heads=2,
    d_kv=16,
    d_model=32,
    d_ff=64,
    activation="relu",
)

PRESETS: dict[str, ModelConfig] = {
    # The default run: a dense T5 and a Switch MoE of the same active FLOPs.
    "tiny_dense": TINY,
    "tiny_switch": _with_moe(TINY, _tiny("switch", 1)),
    # The other routers at the same size.
    "tiny_gs": _with_moe(TINY, _tiny("gshard", 2, capacity_factor_train=2.0)),
    "tiny_st": _with_moe(
        TINY,
        _tiny(
            "st_moe",
            2,
            dense_after_moe=True,
            load_balance_loss_choices="all",
            z_loss_weight=1e-3,
        ),
    ),
    "tiny_ec": _with_moe(
        TINY,
        MoEConfig(
            num_experts=16,
            router="expert_choice",
            decoder_router="st_moe",
            decoder_top_k=2,
            capacity_factor_train=1.0,
            capacity_factor_eval=1.0,
            # Experts choose within a row, so that outputs do not depend on the batch.
            group_rows=1,
            expert_dropout=0.0,
            load_balance_loss_weight=0.0,
            decoder_load_balance_loss_weight=0.01,
            load_balance_loss_choices="all",
        ),
    ),
    # T5 v1.0: ReLU, tied embeddings.
    "t5_v1_0_small": _t5_v1_0(6, 8, 64, 512, 2048),
    "t5_v1_0_base": _t5_v1_0(12, 12, 64, 768, 3072),
    "t5_v1_0_large": _t5_v1_0(24, 16, 64, 1024, 4096),
    "t5_v1_0_3b": _t5_v1_0(24, 32, 128, 1024, 16384),
    "t5_v1_0_11b": _t5_v1_0(24, 128, 128, 1024, 65536),
    # T5 v1.1, dense.
    "t5_small": _t5(8, 6, 64, 512, 1024),
    "t5_base": _t5(12, 12, 64, 768, 2048),
    "t5_large": _t5(24, 16, 64, 1024, 2816),
    "t5_xl": _t5(24, 32, 64, 2048, 5120),
    "t5_xxl": _t5(24, 64, 64, 4096, 10240),
    # Switch Transformers, top-1.
    "switch_base": _published(
        _t5(12, 12, 64, 768, 3072, "relu"), _switch(128, group_tokens=8192), tied=True
    ),
    "switch_large": _published(
        _t5(24, 16, 64, 1024, 4096, "relu"), _switch(128, group_tokens=4096), tied=True
    ),
    "switch_xxl": _published(
        _t5(24, 64, 64, 4096, 10240),
        _switch(128, group_tokens=4096, capacity_factor_eval=4.0, min_capacity=2),
    ),
    "switch_c": _published(
        _t5(15, 30, 64, 2080, 6144, "relu"),
        _switch(2048, group_tokens=2048, moe_every=1, capacity_factor_train=1.0, min_capacity=2),
    ),
    # GShard, top-2 with a random second expert, at the Switch sizes.
    "gs_base": _published(_t5(12, 12, 64, 768, 3072, "relu"), _gshard(128)),
    "gs_large": _published(_t5(24, 16, 64, 1024, 4096, "relu"), _gshard(128)),
    # ST-MoE: top-2, router z-loss, and a dense layer after the experts.
    "st_base": _published(_t5(12, 12, 64, 768, 2048), _st_moe(16, 1e-4, 1.25, 2.0)),
    "st_xl": _published(_t5(24, 32, 64, 2048, 5120), _st_moe(16, 1e-4, 2.0, 4.0, 1024)),
    "st_32b": _published(_t5(24, 64, 128, 5120, 20480), _st_moe(64, 1e-3, 1.25, 2.0)),
    # Expert choice in the encoder, top-2 in the decoder.
    "ec_small": _published(_t5(8, 6, 64, 512, 1024), _expert_choice(32)),
    "ec_base": _published(_t5(12, 12, 64, 768, 2048), _expert_choice(64)),
    "ec_large": _published(_t5(24, 16, 64, 1024, 2816), _expert_choice(64)),
    "ec_xl": _published(_t5(24, 32, 64, 2048, 5120), _expert_choice(64)),
}


def preset(name: str) -> ModelConfig:
    """Return the configuration of a preset.

    Raises:
        UnknownModel: no preset has this name; the message suggests the closest one.
    """
    if name not in PRESETS:
        raise UnknownModel(f"preset {invalid_choice(name, PRESETS)}")
    return PRESETS[name]
