"""The one cost model: parameters and FLOPs of a configuration, in closed form.

A multiply-add is 2 FLOPs. Only matrix products count (as in `torch.utils.flop_counter`); norms,
softmax, activations and embedding look-ups do not. A training step costs 3 forward passes.

Two conventions, told apart everywhere:
- `forward(...)` counts what is computed, attention scores and capacity padding included;
- `published(...)` is the papers' "2 FLOPs per active weight and token, logits included", by
  which REFERENCE figures and the dashboard's GFLOPs per token compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from models.config import ModelConfig

PUBLISHED_ENCODER_TOKENS = 512
PUBLISHED_DECODER_TOKENS = 114
"""The sequence that ST-MoE (arXiv 2202.08906, table 5) and T5 count FLOPs on."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """Tensors of one shape: `copies` of them in the model, `active` of them met by a token."""

    shape: tuple[int, ...]
    copies: int
    active: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Number of weights: `total`, and `active` for one token (k experts of E)."""

    total: int
    active: int


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs of a pass, by what they are spent on."""

    projections: int = 0
    """Attention's q, k, v, o."""
    scores: int = 0
    """Query-key products and the weighted sum of values."""
    feed_forward: int = 0
    """Dense feed-forward layers, those beside experts included."""
    experts: int = 0
    """k experts a token in MoE layers."""
    capacity: int = 0
    """Rows that experts compute for nothing: padding up to their capacity."""
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
class Forward:
    """A forward pass over a sequence: what each stack spends, logits in the decoder's part."""

    encoder: Flops
    decoder: Flops

    @property
    def both(self) -> Flops:
        return self.encoder + self.decoder

    @property
    def total(self) -> int:
        return self.both.total


def weights(config: ModelConfig) -> Iterator[Weight]:
    """Every tensor of the model, by shape."""
    yield _all((config.vocab_size, config.d_model), 1 if config.tie_word_embeddings else 2)
    for decoder in (False, True):
        yield from stack_weights(config, decoder=decoder)


def stack_weights(
    config: ModelConfig, *, decoder: bool, cross_attention: bool = True
) -> Iterator[Weight]:
    """Every tensor of one stack; a decoder-only model has no `cross_attention`."""
    d, layers, inner = config.d_model, config.num_layers, config.num_heads * config.d_kv
    attentions = layers * (2 if decoder and cross_attention else 1)
    yield _all((inner, d), 3 * attentions)
    yield _all((d, inner), attentions)
    # A norm before each attention and feed-forward, and one after the stack.
    yield _all((d,), attentions + layers + 1)
    yield _all((config.relative_attention_num_buckets, config.num_heads), 1)
    into = 2 if config.activation == "gated_gelu" else 1
    sparse = len(config.moe_layers())
    dense = layers - sparse
    if config.moe is not None:
        moe = config.moe_of(decoder=decoder)
        e, k = moe.num_experts, moe.top_k
        dense += sparse if moe.dense_residual else 0
        yield _all((e, d), sparse)
        # An expert's tensor is a slice of a stacked one.
        yield Weight(shape=(d, config.d_ff), copies=into * sparse * e, active=into * sparse * k)
        yield Weight(shape=(config.d_ff, d), copies=sparse * e, active=sparse * k)
    yield _all((config.d_ff, d), into * dense)
    yield _all((d, config.d_ff), dense)


def parameters(config: ModelConfig) -> Parameters:
    """Weights of the model. Active: what one token meets in a full encoder-decoder pass."""
    every = list(weights(config))
    return Parameters(
        total=sum(w.size * w.copies for w in every), active=sum(w.size * w.active for w in every)
    )


def forward(
    config: ModelConfig, *, encoder_tokens: int, decoder_tokens: int, expert_rows: float = 1.0
) -> Forward:
    """FLOPs of a forward pass over one sequence of these lengths.

    `expert_rows`: rows the experts compute, as a share of tokens * k: below 1 when tokens are
    dropped, above 1 when a backend pads experts to their capacity.
    """
    inner = config.num_heads * config.d_kv
    attention, layers = 4 * config.d_model * inner, config.num_layers
    s, t = encoder_tokens, decoder_tokens
    read, written = _feed_forward(config, s, False), _feed_forward(config, t, True)
    return Forward(
        encoder=Flops(
            projections=2 * layers * attention * s,
            scores=4 * layers * inner * s * s,
            **_rows(read, expert_rows),
        ),
        decoder=Flops(
            # Cross-attention projects q and o for the decoder's tokens, k and v for the encoder's.
            projections=2 * layers * (attention * t + attention // 2 * (s + t)),
            scores=4 * layers * inner * (t * t + t * s),
            logits=2 * config.vocab_size * config.d_model * t,
            **_rows(written, expert_rows),
        ),
    )


def published(
    config: ModelConfig,
    *,
    encoder_tokens: int = PUBLISHED_ENCODER_TOKENS,
    decoder_tokens: int = PUBLISHED_DECODER_TOKENS,
) -> int:
    """FLOPs of a sequence as papers count them: 2 per active weight and token, each token with
    the weights of its own stack (so cross-attention counts for decoder tokens alone)."""
    of = per_stack(config)
    return of.encoder * encoder_tokens + of.decoder * decoder_tokens


@dataclass(frozen=True, kw_only=True)
class PerToken:
    """FLOPs of one token of each stack by `published`'s convention; `routing` is a part of both."""

    encoder: int
    decoder: int
    encoder_routing: int
    decoder_routing: int


def per_stack(config: ModelConfig) -> PerToken:
    """What one token of the encoder and one of the decoder cost, logits in the decoder's."""
    one = forward(config, encoder_tokens=1, decoder_tokens=1)
    return PerToken(
        encoder=one.encoder.total - one.encoder.scores,
        decoder=one.decoder.total - one.decoder.scores,
        encoder_routing=one.encoder.routing,
        decoder_routing=one.decoder.routing,
    )


def per_token(config: ModelConfig) -> float:
    """`published` FLOPs divided by its tokens: the x axis of every comparison."""
    tokens = PUBLISHED_ENCODER_TOKENS + PUBLISHED_DECODER_TOKENS
    return published(config) / tokens


def training(config: ModelConfig, *, encoder_tokens: int, decoder_tokens: int, rows: int) -> int:
    """FLOPs to train on `rows` sequences: forward, and twice that backward."""
    cost = forward(config, encoder_tokens=encoder_tokens, decoder_tokens=decoder_tokens)
    return 3 * rows * cost.total


def _all(shape: tuple[int, ...], copies: int) -> Weight:
    return Weight(shape=shape, copies=copies, active=copies)


def _feed_forward(config: ModelConfig, tokens: int, decoder: bool) -> dict[str, int]:
    """Feed-forward, experts and routing of `tokens` in one stack."""
    matrices = 3 if config.activation == "gated_gelu" else 2
    one = 2 * matrices * config.d_model * config.d_ff * tokens
    sparse = len(config.moe_layers())
    found = {"feed_forward": (config.num_layers - sparse) * one}
    if config.moe is not None:
        moe = config.moe_of(decoder=decoder)
        found["feed_forward"] += sparse * one if moe.dense_residual else 0
        found["experts"] = sparse * one * moe.top_k
        found["routing"] = 2 * sparse * config.d_model * moe.num_experts * tokens
    return found


def _rows(found: dict[str, int], expert_rows: float) -> dict[str, int]:
    experts = found.get("experts", 0)
    useful = round(experts * min(expert_rows, 1.0))
    padding = round(experts * max(expert_rows - 1.0, 0.0))
    return {**found, "experts": useful, "capacity": padding}
