"""What a T5-style model is made of. Sizes only: no weights, no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from models.errors import ConfigError

ACTIVATIONS = ("relu", "gated_gelu")


@dataclass(frozen=True, kw_only=True)
class MoEConfig:
    """The sparse half of a model: which blocks hold experts and how tokens reach them."""

    num_experts: int
    """Experts in each MoE layer (E)."""
    router: str = "switch"
    """A key of `models.architecture.moe.routers.table.ROUTERS`."""
    top_k: int = 1
    """Experts used by each token; with expert_choice, by a token on average."""
    decoder_router: str | None = None
    """Router of the decoder; null: the same. expert_choice needs another one there."""
    decoder_top_k: int | None = None
    """Experts used by each token of the decoder; null: top_k."""
    moe_every: int = 2
    """Every how many blocks of a stack the feed-forward layer is an MoE layer."""
    capacity_factor_train: float | None = 1.25
    """Rows an expert accepts, as a multiple of tokens * top_k / E; null drops no token."""
    capacity_factor_eval: float | None = 2.0
    """The same outside training."""
    min_capacity: int = 4
    """Fewest rows an expert accepts, however small the batch."""
    group_rows: int | None = None
    """Batch rows that share a group, within which capacity is counted (GShard, section 2.2);
    null: all rows of a process are one group. At 1 no row depends on its neighbours."""
    batch_priority: bool = False
    """When an expert is full, drop the tokens with the lowest gate, not the last ones
    (V-MoE, Riquelme et al., arXiv 2106.05974, section 4)."""
    dense_residual: bool = False
    """Keep a dense feed-forward layer beside each MoE layer (ST-MoE)."""
    load_balance_loss_weight: float = 0.01
    """Weight of the load-balance loss (Switch, eq. 4)."""
    z_loss_weight: float = 0.0
    """Weight of the router z-loss (ST-MoE, eq. 5)."""
    expert_dropout: float = 0.2
    """Dropout inside experts while fine-tuning (Switch, section 2.4)."""
    jitter: float = 0.0
    """Router input is multiplied by uniform(1 - jitter, 1 + jitter) in training."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """An encoder-decoder of the T5 v1.1 family; `moe=None` is the dense twin."""

    vocab_size: int
    d_model: int
    d_ff: int
    num_heads: int
    d_kv: int
    num_layers: int
    """Blocks in the encoder, and again in the decoder."""
    activation: str = "gated_gelu"
    """relu (T5 v1.0, Switch) or gated_gelu (T5 v1.1, ST-MoE, EC)."""
    tie_word_embeddings: bool = False
    """Share the input embedding with the output layer (T5 v1.0)."""
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout: float = 0.0
    moe: MoEConfig | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "d_ff", "num_heads", "d_kv", "num_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.activation not in ACTIVATIONS:
            raise ConfigError(
                f"activation is {self.activation!r}: it must be one of {', '.join(ACTIVATIONS)}"
            )
        if self.moe is not None:
            _check_moe(self.moe, self.num_layers)

    def moe_layers(self) -> tuple[int, ...]:
        """Indices of the blocks of a stack whose feed-forward layer is an MoE layer.

        The last block of every group of `moe_every` blocks, as in Switch and GShard.
        """
        if self.moe is None:
            return ()
        every = self.moe.moe_every
        return tuple(i for i in range(self.num_layers) if i % every == every - 1)

    def dense_twin(self) -> ModelConfig:
        """The dense model of the same sizes: the partner of a fair comparison."""
        return dataclasses.replace(self, moe=None)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """Raises ConfigError on unknown or missing keys."""
        data = dict(data)
        moe = data.pop("moe", None)
        try:
            return cls(**data, moe=MoEConfig(**moe) if moe is not None else None)
        except TypeError as error:
            raise ConfigError(f"not a model configuration: {error}") from None

    def moe_of(self, *, decoder: bool) -> MoEConfig:
        """The sparse half as the encoder's or the decoder's layers see it."""
        assert self.moe is not None
        moe = self.moe
        router, top_k = moe.router, moe.top_k
        if decoder:
            router, top_k = moe.decoder_router or router, moe.decoder_top_k or top_k
        return dataclasses.replace(
            moe, router=router, top_k=top_k, decoder_router=None, decoder_top_k=None
        )

    def digest(self) -> str:
        """Short hash of the configuration, stable across processes."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_moe(moe: MoEConfig, num_layers: int) -> None:
    if moe.num_experts < 2:
        raise ConfigError(f"moe.num_experts is {moe.num_experts}: an MoE layer needs at least 2")
    if not 1 <= moe.top_k <= moe.num_experts:
        raise ConfigError(
            f"moe.top_k is {moe.top_k}: it must lie between 1 and {moe.num_experts} experts"
        )
    if not 1 <= moe.moe_every <= num_layers:
        raise ConfigError(
            f"moe.moe_every is {moe.moe_every}: it must lie between 1 and {num_layers} layers, "
            "otherwise no layer holds experts"
        )
    for name in ("capacity_factor_train", "capacity_factor_eval"):
        factor = getattr(moe, name)
        if factor is not None and factor <= 0:
            raise ConfigError(f"moe.{name} is {factor}: it must be above 0, or null for dropless")
    if moe.decoder_top_k is not None and not 1 <= moe.decoder_top_k <= moe.num_experts:
        raise ConfigError(
            f"moe.decoder_top_k is {moe.decoder_top_k}: it must lie between 1 and {moe.num_experts} experts"
        )
    for name in ("min_capacity", "group_rows"):
        value = getattr(moe, name)
        if value is not None and value < 1:
            raise ConfigError(f"moe.{name} is {value}: it must be at least 1")
    for name in ("jitter", "expert_dropout"):
        if not 0 <= getattr(moe, name) < 1:
            raise ConfigError(f"moe.{name} is {getattr(moe, name)}: it must lie in [0, 1)")
    for name in ("load_balance_loss_weight", "z_loss_weight"):
        if getattr(moe, name) < 0:
            raise ConfigError(f"moe.{name} is {getattr(moe, name)}: it must not be negative")
