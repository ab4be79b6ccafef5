"""Cost model: parameters and FLOPs of a configuration, in closed form.

A multiply-add is 2 FLOPs. Only matrix products count (as in `torch.utils.flop_counter`); norms,
softmax, activations and embedding look-ups do not. `models.cost.training` adds the backward pass.

Two conventions:
- `forward_flops(...)` counts all products, attention scores included;
- `published_flops(...)` is the papers' "2 FLOPs per active weight and token, logits included", the
  unit of GFLOPs per token in every comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from models.architecture.moe.capacity import expert_capacity
from models.config import ModelConfig, MoEConfig

PUBLISHED_ENCODER_TOKENS = 512
PUBLISHED_DECODER_TOKENS = 114
"""Sequence lengths for which ST-MoE (arXiv 2202.08906, table 5) and T5 report FLOPs."""


@dataclass(frozen=True, kw_only=True)
class WeightShape:
    """All tensors of one shape."""

    shape: tuple[int, ...]
    num_copies: int
    """Tensors of this shape in the model."""
    num_active: float
    """Tensors of this shape that process one token, on average."""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class ParameterCounts:
    """Number of weights."""

    total: int
    active: int
    """Weights that process one token: `experts_per_token` of E experts."""


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs of a pass, by component."""

    projections: int = 0
    """Attention's q, k, v and o."""
    scores: int = 0
    """Query-key products and the weighted sum of values."""
    feed_forward: int = 0
    """Dense feed-forward layers, those parallel to experts included."""
    experts: int = 0
    """`experts_per_token` experts in MoE layers; dropped tokens are not subtracted."""
    routing: int = 0
    """Router logits."""
    logits: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    def __add__(self, other: Flops) -> Flops:
        return Flops(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True, kw_only=True)
class ForwardFlops:
    """FLOPs of a forward pass over one sequence, by stack; logits belong to the decoder."""

    encoder: Flops
    decoder: Flops

    @property
    def combined(self) -> Flops:
        return self.encoder + self.decoder

    @property
    def total(self) -> int:
        return self.combined.total


@dataclass(frozen=True, kw_only=True)
class StackTokenFlops:
    """`published_flops` of one token of each stack; each includes the routing of its stack."""

    encoder: int
    decoder: int
    encoder_routing: int
    decoder_routing: int


def weight_shapes(config: ModelConfig) -> Iterator[WeightShape]:
    """Yield all tensors of the model, by shape."""
    yield _dense_weight((config.vocab_size, config.d_model), 1 if config.tie_word_embeddings else 2)
    for decoder in (False, True):
        yield from stack_weight_shapes(config, decoder=decoder)


def stack_weight_shapes(
    config: ModelConfig, *, decoder: bool, cross_attention: bool = True
) -> Iterator[WeightShape]:
    """Yield all tensors of one stack, by shape.

    Args:
        config: model.
        decoder: the decoder instead of the encoder.
        cross_attention: False for a decoder-only model.
    """
    d, layers, inner = config.d_model, config.num_layers, config.num_heads * config.d_kv
    attentions = layers * (2 if decoder and cross_attention else 1)
    yield _dense_weight((inner, d), 3 * attentions)
    yield _dense_weight((d, inner), attentions)
    moe_layers = len(config.moe_layers())
    extra_layers = moe_layers if config.moe is not None and config.moe.dense_after_moe else 0
    # A norm before each attention and feed-forward layer, and one after the stack.
    yield _dense_weight((d,), attentions + layers + extra_layers + 1)
    yield _dense_weight((config.relative_attention_num_buckets, config.num_heads), 1)
    num_inputs = 2 if config.activation == "gated_gelu" else 1
    dense_layers = layers - moe_layers + extra_layers
    if config.moe is not None:
        moe = config.stack_moe_config(decoder=decoder)
        e, k = moe.num_experts, experts_per_token(moe, training=False)
        yield _dense_weight((e, d), moe_layers)
        # The tensor of one expert is a slice of the stacked tensor.
        yield WeightShape(
            shape=(d, config.d_ff),
            num_copies=num_inputs * moe_layers * e,
            num_active=num_inputs * moe_layers * k,
        )
        yield WeightShape(
            shape=(config.d_ff, d), num_copies=moe_layers * e, num_active=moe_layers * k
        )
    yield _dense_weight((config.d_ff, d), num_inputs * dense_layers)
    yield _dense_weight((d, config.d_ff), dense_layers)


def count_parameters(config: ModelConfig) -> ParameterCounts:
    """Count all weights, and those active for one token in a pass through both stacks."""
    shapes = list(weight_shapes(config))
    return ParameterCounts(
        total=sum(w.size * w.num_copies for w in shapes),
        active=round(sum(w.size * w.num_active for w in shapes)),
    )


def experts_per_token(moe: MoEConfig, *, training: bool) -> float:
    """Return the mean number of experts that compute a token.

    With token choice top_k, whether or not an expert is full. With expert choice every expert is
    full, so the number is the capacity factor (times top_k if it is per assignment), at most E.

    Args:
        moe: MoE configuration of one stack.
        training: whether the capacity factor is that of training or of evaluation.
    """
    if moe.router != "expert_choice":
        return moe.top_k
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if factor is None:
        return moe.num_experts
    choices = moe.top_k if moe.capacity_per == "assignment" else 1
    return min(moe.num_experts, factor * choices)


def expert_rows(moe: MoEConfig, num_tokens: int, *, training: bool) -> float:
    """Return the rows that all experts of a layer compute for a sequence.

    Args:
        moe: MoE configuration of one stack.
        num_tokens: tokens of the sequence.
        training: whether the capacity factor is that of training or of evaluation.
    """
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if moe.router != "expert_choice" or moe.group_rows != 1 or factor is None:
        return num_tokens * experts_per_token(moe, training=training)
    # A sequence that is a group of its own fills the experts up to its capacity, rounded.
    return moe.num_experts * expert_capacity(num_tokens, moe, training=training)


def forward_flops(
    config: ModelConfig, *, encoder_tokens: int, decoder_tokens: int, training: bool = False
) -> ForwardFlops:
    """Compute the FLOPs of a forward pass over one sequence.

    Args:
        config: model.
        encoder_tokens: input length.
        decoder_tokens: target length.
        training: whether expert choice has the capacity factor of training or of evaluation.
    """
    inner = config.num_heads * config.d_kv
    attention, layers = 4 * config.d_model * inner, config.num_layers
    s, t = encoder_tokens, decoder_tokens
    return ForwardFlops(
        encoder=replace(
            _feed_forward_flops(config, s, training, decoder=False),
            projections=2 * layers * attention * s,
            scores=4 * layers * inner * s * s,
        ),
        decoder=replace(
            _feed_forward_flops(config, t, training, decoder=True),
            # Cross-attention projects q and o of the decoder's tokens, k and v of the encoder's.
            projections=2 * layers * (attention * t + attention // 2 * (s + t)),
            scores=4 * layers * inner * (t * t + t * s),
            logits=2 * config.vocab_size * config.d_model * t,
        ),
    )


def published_flops(
    config: ModelConfig,
    *,
    encoder_tokens: int = PUBLISHED_ENCODER_TOKENS,
    decoder_tokens: int = PUBLISHED_DECODER_TOKENS,
) -> int:
    """Compute the FLOPs of one sequence by the papers' convention.

    2 per active weight and token, each token with the weights of its own stack, so that
    cross-attention counts for decoder tokens only.
    """
    per_token = flops_per_stack_token(config)
    return per_token.encoder * encoder_tokens + per_token.decoder * decoder_tokens


def flops_per_stack_token(config: ModelConfig) -> StackTokenFlops:
    """Compute the FLOPs of one encoder token and one decoder token by the papers' convention.

    Logits count for the decoder's token.
    """
    if config.moe is not None:
        # One token is not a group, whose capacity would be rounded up.
        config = replace(config, moe=replace(config.moe, group_rows=None))
    cost = forward_flops(config, encoder_tokens=1, decoder_tokens=1)
    return StackTokenFlops(
        encoder=cost.encoder.total - cost.encoder.scores,
        decoder=cost.decoder.total - cost.decoder.scores,
        encoder_routing=cost.encoder.routing,
        decoder_routing=cost.decoder.routing,
    )


def flops_per_token(config: ModelConfig) -> float:
    """Compute `published_flops` / tokens, the compute axis of every comparison."""
    tokens = PUBLISHED_ENCODER_TOKENS + PUBLISHED_DECODER_TOKENS
    return published_flops(config) / tokens


def _dense_weight(shape: tuple[int, ...], num_copies: int) -> WeightShape:
    return WeightShape(shape=shape, num_copies=num_copies, num_active=num_copies)


def _feed_forward_flops(
    config: ModelConfig, num_tokens: int, training: bool, *, decoder: bool
) -> Flops:
    """Compute the feed-forward, expert and routing FLOPs of one stack."""
    matrices = 3 if config.activation == "gated_gelu" else 2
    row_flops = 2 * matrices * config.d_model * config.d_ff
    moe_layers = len(config.moe_layers())
    dense_layers = config.num_layers - moe_layers
    if config.moe is None:
        return Flops(feed_forward=dense_layers * row_flops * num_tokens)
    moe = config.stack_moe_config(decoder=decoder)
    dense_layers += moe_layers if moe.dense_after_moe else 0
    return Flops(
        feed_forward=dense_layers * row_flops * num_tokens,
        experts=round(moe_layers * row_flops * expert_rows(moe, num_tokens, training=training)),
        routing=2 * moe_layers * config.d_model * moe.num_experts * num_tokens,
    )
