"""Configuration of a T5-style model, dense or with MoE layers. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from models.choices import (
    Activation,
    BalancedChoices,
    CapacityUnit,
    RouterLossReduction,
    RouterName,
    invalid_choice,
)
from models.errors import ConfigError
from models.legacy_config import upgrade

DecoderCapacityFactor = float | Literal["encoder"] | None

VOCABULARY_MULTIPLE = 64
"""Random weights pad the vocabulary to a multiple of this, so that matrix products are fast; the
padding ids are never targets."""


@dataclass(frozen=True, kw_only=True)
class MoEConfig:
    """Configuration of the MoE layers: their number, router, capacity and auxiliary losses."""

    num_experts: int
    """Experts in each MoE layer (E)."""
    router: RouterName = "switch"
    """Router of the encoder, and of the decoder unless `decoder_router` is set."""
    top_k: int = 1
    """Experts per token; with expert_choice, experts per token on average."""
    decoder_router: RouterName | None = None
    """Router of the decoder; null: `router`. expert_choice is not causal and needs another one."""
    decoder_top_k: int | None = None
    """Experts per token in the decoder; null: `top_k`."""
    moe_every: int = 2
    """The last feed-forward layer of every `moe_every` blocks is an MoE layer."""
    capacity_per: CapacityUnit = "token"
    """Unit of the capacity factors: token (an expert accepts factor * tokens / E, rounded), or
    assignment (factor * tokens * top_k / E, rounded up)."""
    capacity_factor_train: float | None = 1.25
    """Expert capacity in training, as a multiple of the mean load in units of `capacity_per`; null:
    dropless. With expert_choice, the mean number of experts per token."""
    capacity_factor_eval: float | None = 2.0
    """Expert capacity in evaluation, likewise. Runs of this project are evaluated dropless wherever
    tokens choose experts, whatever the value."""
    decoder_capacity_factor_train: DecoderCapacityFactor = "encoder"
    """Of the decoder; encoder: `capacity_factor_train`."""
    decoder_capacity_factor_eval: DecoderCapacityFactor = "encoder"
    """Of the decoder; encoder: `capacity_factor_eval`."""
    min_capacity: int = 4
    """Lower bound of the expert capacity, in tokens."""
    group_tokens: int | None = None
    """Maximum number of tokens per routing group, padding included; capacity is counted within a
    group (GShard, section 2.2). Null: all tokens of a rank form one group."""
    group_rows: int | None = None
    """Batch rows per routing group, instead of `group_tokens`. 1: rows are routed independently of
    each other."""
    batch_priority: bool = False
    """When an expert is full, drop the tokens with the lowest router probability instead of the
    last tokens (V-MoE, Riquelme et al., arXiv 2106.05974, section 4)."""
    normalize_gates: bool | None = None
    """Divide the gates of a token by their sum; null: as published (gshard yes, st_moe no)."""
    second_expert_threshold: float | None = None
    """In training a token's second expert is used with probability min(1, gate / threshold); 0:
    always. Null: as published (gshard 0.5, st_moe 0). Mesh TensorFlow uses 0.2."""
    dense_after_moe: bool = False
    """Add a dense feed-forward layer after each MoE layer, with a norm, dropout and residual
    connection of its own (ST-MoE)."""
    load_balance_loss_weight: float = 0.01
    """Weight of the load-balancing loss (Switch, eq. 4)."""
    decoder_load_balance_loss_weight: float | None = None
    """In the decoder; null: `load_balance_loss_weight`."""
    load_balance_loss_choices: BalancedChoices = "first"
    """Choices of a token that count as load: first, or all top_k."""
    z_loss_weight: float = 0.0
    """Weight of the router z-loss (ST-MoE, eq. 5)."""
    router_loss_reduction: RouterLossReduction = "mean"
    """Reduction of the router losses over the MoE layers of both stacks: mean or sum."""
    expert_dropout: float = 0.2
    """Dropout inside the experts in training (Switch, section 2.4)."""
    jitter: float = 0.0
    """In training the router's input is multiplied by uniform(1 - jitter, 1 + jitter) (Switch,
    appendix C)."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Configuration of a T5 v1.1 encoder-decoder; `moe=None` is a dense model."""

    vocab_size: int
    d_model: int
    d_ff: int
    num_heads: int
    d_kv: int
    """Size of an attention head."""
    num_layers: int
    """Blocks in the encoder, and the same number in the decoder."""
    activation: Activation = "gated_gelu"
    """relu (T5 v1.0, Switch) or gated_gelu (T5 v1.1, ST-MoE, expert choice)."""
    tie_word_embeddings: bool = False
    """Share the input embedding with the output layer (T5 v1.0)."""
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout: float = 0.0
    dropout_shared_along_length: bool = False
    """Draw one dropout mask for all positions of a row, as flaxformer does."""
    init_scale: float = 1.0
    """Variance scale of the initial weights: std = sqrt(init_scale / fan-in). 0.1 in the MoE
    families of flaxformer (Switch, section 2.4). Embedding and router are not scaled."""
    moe: MoEConfig | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "d_ff", "num_heads", "d_kv", "num_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.activation not in get_args(Activation):
            raise ConfigError(
                f"activation: {invalid_choice(self.activation, get_args(Activation))}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}: it must lie in [0, 1)")
        if not 0 < self.init_scale < math.inf:
            raise ConfigError(f"init_scale is {self.init_scale}: it must be above 0")
        if self.moe is not None:
            _check_moe(self.moe, self.num_layers)

    def moe_layers(self) -> tuple[int, ...]:
        """Return the indices of the blocks of a stack whose feed-forward layer is an MoE layer.

        The last block of every `moe_every` blocks, as in Switch and GShard.
        """
        if self.moe is None:
            return ()
        every = self.moe.moe_every
        return tuple(i for i in range(self.num_layers) if i % every == every - 1)

    def dense_twin(self) -> ModelConfig:
        """Return the dense counterpart: the same sizes without experts."""
        return dataclasses.replace(self, moe=None)

    def with_training_settings_of(self, other: ModelConfig) -> ModelConfig:
        """Return this configuration with the settings of `other` that affect no trained weight."""
        return dataclasses.replace(
            self,
            dropout=other.dropout,
            dropout_shared_along_length=other.dropout_shared_along_length,
            init_scale=other.init_scale,
        )

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """Build a configuration from `to_dict`'s form, or from that of release 0.1.0.

        Raises:
            ConfigError: a key is unknown or missing, or a value is invalid.
        """
        data = upgrade(data)
        moe = data.pop("moe", None)
        try:
            return cls(**data, moe=MoEConfig(**moe) if moe is not None else None)
        except TypeError as error:
            raise ConfigError(f"invalid model configuration: {error}") from None

    def stack_moe_config(self, *, decoder: bool) -> MoEConfig:
        """Return the MoE configuration of one stack, with the decoder's overrides applied."""
        assert self.moe is not None
        moe = self.moe
        overrides: dict[str, Any] = {}
        if decoder:
            factors = moe.decoder_capacity_factor_train, moe.decoder_capacity_factor_eval
            for name, factor in zip(("train", "eval"), factors, strict=True):
                if factor != "encoder":
                    overrides[f"capacity_factor_{name}"] = factor
            if moe.decoder_load_balance_loss_weight is not None:
                overrides["load_balance_loss_weight"] = moe.decoder_load_balance_loss_weight
            overrides["router"] = moe.decoder_router or moe.router
            overrides["top_k"] = moe.decoder_top_k or moe.top_k
        return dataclasses.replace(
            moe,
            **overrides,
            decoder_router=None,
            decoder_top_k=None,
            decoder_capacity_factor_train="encoder",
            decoder_capacity_factor_eval="encoder",
            decoder_load_balance_loss_weight=None,
        )


def pad_vocab_size(vocab_size: int) -> int:
    """Return the vocabulary size of random weights for a tokenizer of `vocab_size` ids."""
    return -(-vocab_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def _check_moe(moe: MoEConfig, num_layers: int) -> None:
    if moe.num_experts < 2:
        raise ConfigError(f"moe.num_experts is {moe.num_experts}: an MoE layer needs at least 2")
    for name in ("router", "decoder_router"):
        router = getattr(moe, name)
        if router is not None and router not in get_args(RouterName):
            raise ConfigError(f"moe.{name}: {invalid_choice(router, get_args(RouterName))}")
    for name in ("top_k", "decoder_top_k"):
        top_k = getattr(moe, name)
        if top_k is not None and not 1 <= top_k <= moe.num_experts:
            raise ConfigError(
                f"moe.{name} is {top_k}: it must lie between 1 and {moe.num_experts} experts"
            )
    if not 1 <= moe.moe_every <= num_layers:
        raise ConfigError(
            f"moe.moe_every is {moe.moe_every}: it must lie between 1 and {num_layers} layers, "
            "otherwise no layer has experts"
        )
    for name in ("capacity_factor_train", "capacity_factor_eval"):
        factor = getattr(moe, name)
        if factor is not None and not 0 < factor < math.inf:
            raise ConfigError(f"moe.{name} is {factor}: it must be above 0, or null for dropless")
        factor = getattr(moe, f"decoder_{name}")
        if isinstance(factor, str) and factor != "encoder":
            raise ConfigError(f"moe.decoder_{name} is {factor!r}: expected a number, null, encoder")
        if isinstance(factor, int | float) and not 0 < factor < math.inf:
            raise ConfigError(
                f"moe.decoder_{name} is {factor}: it must be above 0, null or encoder"
            )
    for name, choices in (
        ("capacity_per", CapacityUnit),
        ("load_balance_loss_choices", BalancedChoices),
        ("router_loss_reduction", RouterLossReduction),
    ):
        if getattr(moe, name) not in get_args(choices):
            raise ConfigError(
                f"moe.{name}: {invalid_choice(getattr(moe, name), get_args(choices))}"
            )
    for name in ("min_capacity", "group_rows", "group_tokens"):
        value = getattr(moe, name)
        if value is not None and value < 1:
            raise ConfigError(f"moe.{name} is {value}: it must be at least 1")
    if moe.group_rows is not None and moe.group_tokens is not None:
        raise ConfigError(
            f"moe.group_rows is {moe.group_rows} and moe.group_tokens {moe.group_tokens}: groups "
            "are of rows or of tokens; set one of them"
        )
    for name in ("jitter", "expert_dropout"):
        if not 0 <= getattr(moe, name) < 1:
            raise ConfigError(f"moe.{name} is {getattr(moe, name)}: it must lie in [0, 1)")
    for name in (
        "load_balance_loss_weight",
        "decoder_load_balance_loss_weight",
        "z_loss_weight",
        "second_expert_threshold",
    ):
        value = getattr(moe, name)
        if value is not None and not 0 <= value < math.inf:
            raise ConfigError(f"moe.{name} is {value}: it must not be negative")
