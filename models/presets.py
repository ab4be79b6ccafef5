"""Published model sizes, and the tiny ones that the default run trains.

Sources: Switch and EC from the MoE configuration files of google/flaxformer; ST-MoE from
Zoph et al., arXiv 2202.08906; T5 v1.0 and v1.1 sizes from Raffel et al., arXiv 1910.10683, as
released; GShard at the Switch sizes as in FLAN-MoE, arXiv 2305.14705.
"""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from models.config import ModelConfig, MoEConfig
from models.errors import UnknownModel

T5_VOCABULARY = 32_128


def _t5(
    layers: int, heads: int, d_kv: int, d_model: int, d_ff: int, activation: str = "gated_gelu"
) -> ModelConfig:
    return ModelConfig(
        vocab_size=T5_VOCABULARY,
        num_layers=layers,
        num_heads=heads,
        d_kv=d_kv,
        d_model=d_model,
        d_ff=d_ff,
        activation=activation,
        dropout=0.05,
    )


def _with(dense: ModelConfig, moe: MoEConfig) -> ModelConfig:
    return dataclasses.replace(dense, moe=moe)


def _switch(experts: int, every: int = 2, train: float = 1.25, eval_: float = 2.0) -> MoEConfig:
    return MoEConfig(
        num_experts=experts,
        router="switch",
        top_k=1,
        moe_every=every,
        capacity_factor_train=train,
        capacity_factor_eval=eval_,
    )


def _st(experts: int, every: int, z_loss: float, train: float, eval_: float) -> MoEConfig:
    return MoEConfig(
        num_experts=experts,
        router="st_moe",
        top_k=2,
        moe_every=every,
        capacity_factor_train=train,
        capacity_factor_eval=eval_,
        dense_residual=True,
        z_loss_weight=z_loss,
    )


def _gshard(experts: int) -> MoEConfig:
    return MoEConfig(
        num_experts=experts,
        router="gshard",
        top_k=2,
        capacity_factor_train=2.0,
        capacity_factor_eval=2.0,
    )


def _expert_choice(experts: int) -> MoEConfig:
    return MoEConfig(
        num_experts=experts,
        router="expert_choice",
        top_k=1,
        # Experts that choose tokens would look ahead in a decoder: top-2 there.
        decoder_router="st_moe",
        decoder_top_k=2,
        capacity_factor_train=1.0,
        capacity_factor_eval=1.0,
    )


def _t5_v1_0(layers: int, heads: int, d_kv: int, d_model: int, d_ff: int) -> ModelConfig:
    return dataclasses.replace(
        _t5(layers, heads, d_kv, d_model, d_ff, "relu"), tie_word_embeddings=True
    )


def _tiny(router: str, top_k: int, **changes: Any) -> MoEConfig:
    """8 experts. Dropless outside training: an answer must not depend on its neighbours."""
    return MoEConfig(
        num_experts=8,
        router=router,
        top_k=top_k,
        capacity_factor_eval=None,
        expert_dropout=0.0,
        **changes,
    )


TINY = ModelConfig(
    vocab_size=1024,
    num_layers=2,
    num_heads=4,
    d_kv=32,
    d_model=128,
    d_ff=256,
    activation="relu",
)

PRESETS: dict[str, ModelConfig] = {
    # What the embedded default trains: a dense T5 and a Switch MoE of the same active FLOPs.
    "tiny_dense": TINY,
    "tiny_switch": _with(TINY, _tiny("switch", 1)),
    # The other families at the same size, to try a router on.
    "tiny_gs": _with(TINY, _tiny("gshard", 2, capacity_factor_train=2.0)),
    "tiny_st": _with(TINY, _tiny("st_moe", 2, dense_residual=True, z_loss_weight=1e-3)),
    "tiny_ec": _with(
        TINY,
        MoEConfig(
            num_experts=8,
            router="expert_choice",
            decoder_router="st_moe",
            decoder_top_k=2,
            capacity_factor_train=1.0,
            capacity_factor_eval=1.0,
            # Experts choose within a row, so that no answer depends on its neighbours in a batch.
            group_rows=1,
            expert_dropout=0.0,
        ),
    ),
    # T5 v1.0: ReLU, one table for input and output.
    "t5_v1_0_small": _t5_v1_0(6, 8, 64, 512, 2048),
    "t5_v1_0_base": _t5_v1_0(12, 12, 64, 768, 3072),
    "t5_v1_0_large": _t5_v1_0(24, 16, 64, 1024, 4096),
    "t5_v1_0_3b": _t5_v1_0(24, 32, 128, 1024, 16384),
    "t5_v1_0_11b": _t5_v1_0(24, 128, 128, 1024, 65536),
    # The dense ladder, T5 v1.1.
    "t5_small": _t5(8, 6, 64, 512, 1024),
    "t5_base": _t5(12, 12, 64, 768, 2048),
    "t5_large": _t5(24, 16, 64, 1024, 2816),
    "t5_xl": _t5(24, 32, 64, 2048, 5120),
    "t5_xxl": _t5(24, 64, 64, 4096, 10240),
    # Switch Transformers, top-1.
    "switch_base": _with(_t5(12, 12, 64, 768, 3072, "relu"), _switch(128)),
    "switch_large": _with(_t5(24, 16, 64, 1024, 4096, "relu"), _switch(128)),
    "switch_xxl": _with(_t5(24, 64, 64, 4096, 10240), _switch(128, eval_=4.0)),
    "switch_c": _with(_t5(15, 30, 64, 2080, 6144, "relu"), _switch(2048, every=1, train=1.0)),
    # GShard, top-2 with a random second expert, at the Switch sizes.
    "gs_base": _with(_t5(12, 12, 64, 768, 3072, "relu"), _gshard(128)),
    "gs_large": _with(_t5(24, 16, 64, 1024, 4096, "relu"), _gshard(128)),
    # ST-MoE, top-2 with router z-loss and a dense layer beside the experts.
    "st_base": _with(_t5(12, 12, 64, 768, 2048), _st(16, 4, 1e-4, 1.25, 2.0)),
    "st_xl": _with(_t5(24, 32, 64, 2048, 5120), _st(16, 4, 1e-4, 2.0, 4.0)),
    "st_32b": _with(_t5(24, 64, 128, 5120, 20480), _st(64, 4, 1e-3, 1.25, 2.0)),
    # Expert choice in the encoder, top-2 in the decoder.
    "ec_small": _with(_t5(8, 6, 64, 512, 1024), _expert_choice(32)),
    "ec_base": _with(_t5(12, 12, 64, 768, 2048), _expert_choice(64)),
    "ec_large": _with(_t5(24, 16, 64, 1024, 2816), _expert_choice(64)),
    "ec_xl": _with(_t5(24, 32, 64, 2048, 5120), _expert_choice(64)),
}


def preset(name: str) -> ModelConfig:
    """The configuration called `name`. Raises UnknownModel, naming the nearest."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownModel(f"no preset is called {name!r}{hint} Known: {', '.join(PRESETS)}")
