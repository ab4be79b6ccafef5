"""The one cost model: parameters and FLOPs of a configuration, in closed form.

A multiply-add is 2 FLOPs. Only matrix products count (as in `torch.utils.flop_counter`); norms,
softmax, activations and embedding look-ups do not. A training step costs 3 forward passes.

Two conventions, told apart everywhere:
- `forward(...)` counts what is computed, attention scores and capacity padding included;
- `published(...)` is the papers' "2 FLOPs per active weight and token, logits included", by
  which REFERENCE figures and the dashboard's GFLOPs per token compare.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.config import ModelConfig

PUBLISHED_ENCODER_TOKENS = 512
PUBLISHED_DECODER_TOKENS = 114
"""The sequence that ST-MoE (arXiv 2202.08906, table 5) and T5 count FLOPs on."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Number of weights: `total`, and `active` for one token (k experts of E)."""

    total: int
    active: int


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs of one forward pass over a sequence, by what they are spent on."""

    projections: int
    """Attention's q, k, v, o."""
    scores: int
    """Query-key products and the weighted sum of values."""
    feed_forward: int
    """Dense feed-forward layers, and k experts a token in MoE layers."""
    routing: int
    """Router logits."""
    logits: int

    @property
    def total(self) -> int:
        return self.projections + self.scores + self.feed_forward + self.routing + self.logits


def _attention_weights(config: ModelConfig) -> int:
    return 4 * config.d_model * config.num_heads * config.d_kv


def _feed_forward_weights(config: ModelConfig) -> int:
    matrices = 3 if config.activation == "gated_gelu" else 2
    return matrices * config.d_model * config.d_ff


def parameters(config: ModelConfig) -> Parameters:
    """Weights of the model. Active: what one token meets in a full encoder-decoder pass."""
    d, layers = config.d_model, config.num_layers
    attention, dense = _attention_weights(config), _feed_forward_weights(config)
    embeddings = config.vocab_size * d * (1 if config.tie_logits else 2)
    # Norms: 2 a block in the encoder, 3 in the decoder, 1 after each stack.
    norms = (5 * layers + 2) * d
    biases = 2 * config.relative_buckets * config.num_heads
    shared = embeddings + norms + biases + layers * 3 * attention
    total = active = shared
    sparse = 2 * len(config.moe_layers())
    total += (2 * layers - sparse) * dense
    active += (2 * layers - sparse) * dense
    if config.moe is not None:
        moe = config.moe
        beside = dense if moe.dense_beside else 0
        router = d * moe.num_experts
        total += sparse * (moe.num_experts * dense + router + beside)
        active += sparse * (moe.k * dense + router + beside)
    return Parameters(total=total, active=active)


def forward(
    config: ModelConfig, *, encoder_tokens: int, decoder_tokens: int, expert_rows: float = 1.0
) -> Flops:
    """FLOPs of a forward pass over one sequence of these lengths.

    `expert_rows`: rows the experts compute, as a share of tokens * k: below 1 when tokens are
    dropped, above 1 when a backend pads experts to their capacity.
    """
    d, layers = config.d_model, config.num_layers
    inner = config.num_heads * config.d_kv
    attention, dense = _attention_weights(config), _feed_forward_weights(config)
    s, t = encoder_tokens, decoder_tokens
    # Cross-attention projects q and o for the decoder's tokens, k and v for the encoder's.
    projections = layers * (attention * s + attention * t + attention // 2 * (s + t))
    scores = layers * 2 * inner * (s * s + t * t + t * s)
    sparse = len(config.moe_layers())
    feed_forward = float((layers - sparse) * dense * (s + t))
    routing = 0
    if config.moe is not None:
        beside = 1 if config.moe.dense_beside else 0
        feed_forward += sparse * dense * (s + t) * (config.moe.k * expert_rows + beside)
        routing = sparse * d * config.moe.num_experts * (s + t)
    logits = config.vocab_size * d * t
    return Flops(
        projections=2 * projections,
        scores=2 * scores,
        feed_forward=round(2 * feed_forward),
        routing=2 * routing,
        logits=2 * logits,
    )


def published(
    config: ModelConfig,
    *,
    encoder_tokens: int = PUBLISHED_ENCODER_TOKENS,
    decoder_tokens: int = PUBLISHED_DECODER_TOKENS,
) -> int:
    """FLOPs of a sequence as papers count them: 2 per active weight and token, each token with
    the weights of its own stack (so cross-attention counts for decoder tokens alone)."""
    cost = forward(config, encoder_tokens=encoder_tokens, decoder_tokens=decoder_tokens)
    cross_kv = config.num_layers * _attention_weights(config) // 2
    return cost.total - cost.scores - 2 * cross_kv * (encoder_tokens - decoder_tokens)


def per_token(config: ModelConfig) -> float:
    """`published` FLOPs divided by its tokens: the x axis of every comparison."""
    tokens = PUBLISHED_ENCODER_TOKENS + PUBLISHED_DECODER_TOKENS
    return published(config) / tokens


def training(config: ModelConfig, *, encoder_tokens: int, decoder_tokens: int, rows: int) -> int:
    """FLOPs to train on `rows` sequences: forward, and twice that backward."""
    cost = forward(config, encoder_tokens=encoder_tokens, decoder_tokens=decoder_tokens)
    return 3 * rows * cost.total
