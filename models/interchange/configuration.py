"""Hugging Face's config.json and our ModelConfig, for T5 and SwitchTransformers."""

from __future__ import annotations

from typing import Any

from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError

NO_LIMIT = 1 << 20
"""Expert capacity that no sequence reaches."""


def from_theirs(theirs: dict[str, Any], *, separate_head: bool) -> ModelConfig:
    """`separate_head`: the checkpoint's output layer is not its embedding.

    Raises ConfigError for another architecture, or one that ours has no place for, by its field.
    """
    kind = theirs.get("model_type")
    if kind not in ("t5", "switch_transformers"):
        raise ConfigError(f"model_type is {kind!r}: t5 and switch_transformers can be imported")
    layers = _need(theirs, "num_layers")
    _expect(theirs, "num_decoder_layers", (None, layers), f"num_layers, {layers}")
    _expect(theirs, "layer_norm_epsilon", (None, 1e-6), "1e-6")
    moe = None
    if kind == "t5":
        activations = {"relu": "relu", "gated-gelu": "gated_gelu"}
        name = theirs.get("feed_forward_proj", "relu")
    else:
        moe = _moe(theirs, layers)
        activations, name = {"relu": "relu"}, theirs.get("dense_act_fn", "relu")
    if name not in activations:
        raise ConfigError(f"activation {name!r}: {' and '.join(activations)} can be imported")
    return ModelConfig(
        vocab_size=_need(theirs, "vocab_size"),
        d_model=_need(theirs, "d_model"),
        d_ff=_need(theirs, "d_ff"),
        num_heads=_need(theirs, "num_heads"),
        d_kv=_need(theirs, "d_kv"),
        num_layers=layers,
        activation=activations[name],
        tie_word_embeddings=scales_output(theirs) and not separate_head,
        relative_attention_num_buckets=theirs.get("relative_attention_num_buckets", 32),
        relative_attention_max_distance=theirs.get("relative_attention_max_distance", 128),
        dropout=theirs.get("dropout_rate", 0.0),
        moe=moe,
    )


def scales_output(theirs: dict[str, Any]) -> bool:
    """Whether the decoder's output is multiplied by d_model^-0.5 before the output layer.

    T5 v1.0 does where both embeddings are one; transformers 5 writes that down by itself.
    """
    default = theirs.get("tie_word_embeddings") is not False
    return bool(theirs.get("scale_decoder_outputs", default))


def to_theirs(config: ModelConfig) -> tuple[dict[str, Any], list[str]]:
    """config.json for transformers, and what of ours it cannot say, a line each.

    Raises ConfigError for a model that transformers has no class for.
    """
    common: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_kv": config.d_kv,
        "d_ff": config.d_ff,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.num_layers,
        "num_heads": config.num_heads,
        "relative_attention_num_buckets": config.relative_attention_num_buckets,
        "relative_attention_max_distance": config.relative_attention_max_distance,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": 1e-6,
        "is_encoder_decoder": True,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "tie_word_embeddings": config.tie_word_embeddings,
        "dtype": "float32",
    }
    if config.moe is None:
        return common | {
            "model_type": "t5",
            "architectures": ["T5ForConditionalGeneration"],
            "feed_forward_proj": "relu" if config.activation == "relu" else "gated-gelu",
        }, []
    moe = config.moe
    _exportable(config, moe)
    sparse = len(config.moe_layers())
    lost = [
        f"{name}: transformers' Switch has no such thing"
        for name in ("expert_dropout", "group_rows", "batch_priority")
        if getattr(moe, name)
    ]
    if moe.capacity_factor_train is not None or moe.capacity_factor_eval is not None:
        lost.append(
            "capacity factors: transformers counts an absolute capacity for each sequence; it is "
            "written so large that no token is dropped"
        )
    return common | {
        "model_type": "switch_transformers",
        "architectures": ["SwitchTransformersForConditionalGeneration"],
        "dense_act_fn": "relu",
        "num_experts": moe.num_experts,
        "num_sparse_encoder_layers": sparse,
        "num_sparse_decoder_layers": sparse,
        "expert_capacity": NO_LIMIT,
        "router_bias": False,
        "router_jitter_noise": moe.jitter,
        "router_dtype": "float32",
        "router_z_loss_coef": moe.z_loss_weight,
        "router_aux_loss_coef": moe.load_balance_loss_weight,
    }, lost


def _exportable(config: ModelConfig, moe: MoEConfig) -> None:
    routers = {config.moe_of(decoder=decoder).router for decoder in (False, True)}
    if routers != {"switch"}:
        raise ConfigError(
            f"router {', '.join(sorted(routers - {'switch'}))}: transformers has no "
            "encoder-decoder with such experts; only dense and Switch models can be exported"
        )
    problems = {
        "activation": (config.activation == "relu", "its Switch experts use ReLU"),
        "dense_residual": (
            not moe.dense_residual,
            "its Switch has no dense layer beside the experts",
        ),
        "moe_every": (
            moe.moe_every in (1, 2) and config.num_layers % moe.moe_every == 0,
            "its Switch has experts in every layer, or in every second of an even number",
        ),
    }
    for name, (fits, why) in problems.items():
        if not fits:
            raise ConfigError(f"{name} cannot be exported to transformers: {why}")


def _moe(theirs: dict[str, Any], layers: int) -> MoEConfig:
    _expect(theirs, "router_bias", (None, False), "false")
    sparse = _need(theirs, "num_sparse_encoder_layers")
    _expect(theirs, "num_sparse_decoder_layers", (sparse,), f"num_sparse_encoder_layers, {sparse}")
    every = layers // sparse if sparse else 0
    # transformers places experts in blocks 1, 1 + n, ...: ours in n - 1, 2n - 1, ...
    if every not in (1, 2) or layers % every:
        raise ConfigError(
            f"num_sparse_encoder_layers is {sparse} of {layers}: only every layer, or every second "
            "of an even number, can be imported"
        )
    return MoEConfig(
        num_experts=_need(theirs, "num_experts"),
        moe_every=every,
        # Theirs is absolute and for each sequence, so it has no counterpart: Switch's published
        # factor in training, none dropped outside it.
        capacity_factor_train=1.25,
        capacity_factor_eval=None,
        load_balance_loss_weight=theirs.get("router_aux_loss_coef", 0.01),
        z_loss_weight=theirs.get("router_z_loss_coef", 0.0),
        jitter=theirs.get("router_jitter_noise", 0.0),
    )


def _need(theirs: dict[str, Any], name: str) -> int:
    value = theirs.get(name)
    if not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r} in config.json: it must be a number")
    return value


def _expect(theirs: dict[str, Any], name: str, allowed: tuple[Any, ...], told: str) -> None:
    if theirs.get(name) not in allowed:
        raise ConfigError(f"{name} is {theirs[name]!r}: only {told} can be imported")
