"""Convert between Hugging Face's config.json and ModelConfig, for T5 and SwitchTransformers."""

from __future__ import annotations

from typing import Any

from models.choices import Activation
from models.config import ModelConfig, MoEConfig
from models.errors import ConfigError

UNLIMITED_CAPACITY = 1 << 20
"""Expert capacity that no sequence reaches."""


def from_hf_config(hf_config: dict[str, Any], *, separate_head: bool) -> ModelConfig:
    """Convert a config.json of transformers.

    Args:
        hf_config: content of config.json.
        separate_head: the checkpoint's output layer differs from its embedding.

    Raises:
        ConfigError: the architecture, or the value of a field, is not supported.
    """
    model_type = hf_config.get("model_type")
    if model_type not in ("t5", "switch_transformers"):
        raise ConfigError(
            f"model_type {model_type!r} is not supported; expected t5 or switch_transformers"
        )
    num_layers = _required_int(hf_config, "num_layers")
    _expect(hf_config, "num_decoder_layers", (None, num_layers), f"num_layers, {num_layers}")
    _expect(hf_config, "layer_norm_epsilon", (None, 1e-6), "1e-6")
    for name, index in (("pad_token_id", 0), ("eos_token_id", 1), ("decoder_start_token_id", 0)):
        _expect(hf_config, name, (None, index), str(index))
    activations: dict[str, Activation] = {"relu": "relu"}
    moe = None
    if model_type == "t5":
        activations["gated-gelu"] = "gated_gelu"
        hf_activation = hf_config.get("feed_forward_proj", "relu")
    else:
        moe = _moe_config(hf_config, num_layers)
        hf_activation = hf_config.get("dense_act_fn", "relu")
    if hf_activation not in activations:
        raise ConfigError(
            f"activation {hf_activation!r} is not supported; expected {' or '.join(activations)}"
        )
    return ModelConfig(
        vocab_size=_required_int(hf_config, "vocab_size"),
        d_model=_required_int(hf_config, "d_model"),
        d_ff=_required_int(hf_config, "d_ff"),
        num_heads=_required_int(hf_config, "num_heads"),
        d_kv=_required_int(hf_config, "d_kv"),
        num_layers=num_layers,
        activation=activations[hf_activation],
        tie_word_embeddings=scales_output(hf_config) and not separate_head,
        relative_attention_num_buckets=hf_config.get("relative_attention_num_buckets", 32),
        relative_attention_max_distance=hf_config.get("relative_attention_max_distance", 128),
        dropout=hf_config.get("dropout_rate", 0.0),
        moe=moe,
    )


def scales_output(hf_config: dict[str, Any]) -> bool:
    """Return whether the decoder's output is multiplied by d_model^-0.5 before the output layer.

    T5 v1.0, which ties its embeddings, does so; transformers 5 writes `scale_decoder_outputs`.
    """
    default = hf_config.get("tie_word_embeddings") is not False
    return bool(hf_config.get("scale_decoder_outputs", default))


def to_hf_config(config: ModelConfig) -> tuple[dict[str, Any], list[str]]:
    """Convert a configuration to a config.json of transformers.

    Returns:
        The content of config.json, and a line for each setting that it cannot express.

    Raises:
        ConfigError: transformers has no class for the model.
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
    _check_exportable(config, moe)
    num_moe_layers = len(config.moe_layers())
    # transformers adds one loss per stack, the mean over its layers.
    per_stack = 1 / 2 if moe.router_loss_reduction == "mean" else num_moe_layers
    warnings = [
        f"{name}: not supported by transformers' SwitchTransformers"
        for name in ("expert_dropout", "group_rows", "group_tokens", "batch_priority")
        if getattr(moe, name)
    ]
    if moe.decoder_load_balance_loss_weight is not None:
        warnings.append(
            "decoder_load_balance_loss_weight: transformers has one coefficient for both stacks, "
            "that of the encoder"
        )
    if moe.capacity_factor_train is not None or moe.capacity_factor_eval is not None:
        warnings.append(
            "capacity factors: transformers uses an absolute capacity per sequence; it is set so "
            "large that no token is dropped"
        )
    return common | {
        "model_type": "switch_transformers",
        "architectures": ["SwitchTransformersForConditionalGeneration"],
        "dense_act_fn": "relu",
        "num_experts": moe.num_experts,
        "num_sparse_encoder_layers": num_moe_layers,
        "num_sparse_decoder_layers": num_moe_layers,
        "expert_capacity": UNLIMITED_CAPACITY,
        "router_bias": False,
        "router_jitter_noise": moe.jitter,
        "router_dtype": "float32",
        "router_z_loss_coef": moe.z_loss_weight * per_stack,
        "router_aux_loss_coef": moe.load_balance_loss_weight * per_stack,
    }, warnings


def _check_exportable(config: ModelConfig, moe: MoEConfig) -> None:
    routers = {config.stack_moe_config(decoder=decoder).router for decoder in (False, True)}
    unsupported = sorted(routers - {"switch"})
    if unsupported:
        raise ConfigError(
            f"router {', '.join(unsupported)} cannot be exported: transformers has no "
            "encoder-decoder with it; only dense and Switch models can be exported"
        )
    requirements = {
        "activation": (config.activation == "relu", "its Switch experts use ReLU"),
        "dense_after_moe": (
            not moe.dense_after_moe,
            "its Switch has no dense layer after the experts",
        ),
        "moe_every": (
            moe.moe_every in (1, 2) and config.num_layers % moe.moe_every == 0,
            "its Switch has experts in every layer, or in every second of an even number",
        ),
    }
    for name, (is_met, reason) in requirements.items():
        if not is_met:
            raise ConfigError(f"{name} cannot be exported to transformers: {reason}")


def _moe_config(hf_config: dict[str, Any], num_layers: int) -> MoEConfig:
    _expect(hf_config, "router_bias", (None, False), "false")
    num_sparse = _required_int(hf_config, "num_sparse_encoder_layers")
    _expect(
        hf_config,
        "num_sparse_decoder_layers",
        (num_sparse,),
        f"num_sparse_encoder_layers, {num_sparse}",
    )
    moe_every = num_layers // num_sparse if num_sparse else 0
    # transformers places experts in blocks 1, 1 + n, ...; this project in n - 1, 2n - 1, ...
    if moe_every not in (1, 2) or num_layers % moe_every:
        raise ConfigError(
            f"num_sparse_encoder_layers is {num_sparse} of {num_layers}: expected every layer, or "
            "every second of an even number"
        )
    return MoEConfig(
        num_experts=_required_int(hf_config, "num_experts"),
        moe_every=moe_every,
        # The capacity of transformers is absolute and per sequence, so it has no equivalent here:
        # Switch's published factor in training, dropless in evaluation.
        capacity_factor_train=1.25,
        capacity_factor_eval=None,
        # transformers adds one loss per stack; the mean over the layers of both is half the sum.
        router_loss_reduction="mean",
        load_balance_loss_weight=2 * hf_config.get("router_aux_loss_coef", 0.001),
        z_loss_weight=2 * hf_config.get("router_z_loss_coef", 0.001),
        jitter=hf_config.get("router_jitter_noise", 0.0),
    )


def _required_int(hf_config: dict[str, Any], name: str) -> int:
    value = hf_config.get(name)
    if not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r}: expected an integer")
    return value


def _expect(
    hf_config: dict[str, Any], name: str, allowed: tuple[Any, ...], description: str
) -> None:
    if hf_config.get(name) not in allowed:
        raise ConfigError(f"{name} is {hf_config.get(name)!r}: only {description} is supported")
