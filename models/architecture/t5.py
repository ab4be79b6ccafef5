"""The T5 v1.1 encoder-decoder, dense or with MoE layers. Reads top to bottom.

Raffel et al., arXiv 1910.10683; MoE placement as in Switch, arXiv 2101.03961, section 2.

Shape suffixes: B batch, L length, D d_model, V vocabulary.
Packed rows: several examples share a row; tokens see only their own segment. Segment 0 is
padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from models.architecture.attention import Attention, RelativePositionBias
from models.architecture.feed_forward import FeedForward
from models.architecture.matmul import linear, pack, using
from models.architecture.moe.layer import MoELayer
from models.architecture.norm import RMSNorm
from models.config import ModelConfig

KeyValues = tuple[Tensor, Tensor]


class Cache:
    """Keys and values of the tokens decoded so far, in buffers for as many as there may be."""

    def __init__(self, like: Tensor, length: int) -> None:
        """`like`: `[B, H, S, K]`, keys of the cross-attention: the same sizes but S."""
        batch, heads, _, width = like.shape
        self.keys, self.values = like.new_empty(2, batch, heads, length, width).unbind(0)
        self.length = 0

    def add(self, kv: KeyValues) -> KeyValues:
        """Appends one token; returns all so far."""
        at, self.length = self.length, self.length + 1
        self.keys[:, :, at : self.length], self.values[:, :, at : self.length] = kv
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def keep(self, row_R: Tensor) -> None:
        """Only these rows go on."""
        self.keys, self.values = self.keys[row_R], self.values[row_R]


class Block(nn.Module):
    """Self-attention, in a decoder cross-attention, then feed-forward; each behind a norm."""

    def __init__(self, config: ModelConfig, *, decoder: bool, sparse: bool) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.attention_norm = RMSNorm(config.d_model)
        self.attention = Attention(config)
        self.cross_norm = RMSNorm(config.d_model) if decoder else None
        self.cross_attention = Attention(config) if decoder else None
        self.feed_forward_norm = RMSNorm(config.d_model)
        self.feed_forward: FeedForward | MoELayer = (
            MoELayer(config, decoder=decoder) if sparse else FeedForward(config)
        )

    def forward(
        self,
        x_BLD: Tensor,
        bias: Tensor,
        valid_BL: Tensor,
        cross: Tensor | KeyValues | None = None,
        cross_bias: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """`cross`: the encoder's output, or the keys and values made of it; `cache`: those of the
        tokens before, to which these are added."""
        h = self.attention_norm(x_BLD)
        kv = self.attention.keys_values(h)
        if cache is not None:
            kv = cache.add(kv)
        attend = self.attention if cache is None else self.attention.one
        x_BLD = x_BLD + self._drop(attend(h, kv, bias))
        if self.cross_attention is not None and self.cross_norm is not None:
            assert cross is not None
            assert cross_bias is not None
            kv = self.cross_attention.keys_values(cross) if isinstance(cross, Tensor) else cross
            h = self.cross_norm(x_BLD)
            attend = self.cross_attention if cache is None else self.cross_attention.one
            x_BLD = x_BLD + self._drop(attend(h, kv, cross_bias))
        h = self.feed_forward_norm(x_BLD)
        return x_BLD + self._drop(self.feed_forward(h, valid_BL))

    def cross_keys_values(self, memory_BSD: Tensor) -> KeyValues:
        """What a decoder block reads of the encoder's output, computed once."""
        assert self.cross_attention is not None
        return self.cross_attention.keys_values(memory_BSD)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Stack(nn.Module):
    """The encoder or the decoder: blocks, one relative position bias, a final norm."""

    def __init__(self, config: ModelConfig, *, decoder: bool) -> None:
        super().__init__()
        sparse = config.moe_layers()
        self.dropout = config.dropout
        self.blocks = nn.ModuleList(
            Block(config, decoder=decoder, sparse=i in sparse) for i in range(config.num_layers)
        )
        self.position_bias = RelativePositionBias(config, bidirectional=not decoder)
        self.norm = RMSNorm(config.d_model)

    def layers(self) -> list[Block]:
        """The blocks in order."""
        return [block for block in self.blocks if isinstance(block, Block)]


@dataclass
class DecoderState:
    """What decoding keeps between steps: per layer, self and cross keys and values."""

    caches: list[Cache]
    cross: list[KeyValues]
    cross_bias: Tensor
    """-inf where a row's input is padding: `[B * H, 1, S]`."""
    bias_Z1S: Tensor
    """Relative position bias of the keys, the oldest first, as the last possible token sees it;
    Z = batch * heads."""
    packed: dict[int, Tensor]
    """The decoder's weights as few rows are best multiplied by them (`matmul.pack`)."""

    def keep(self, row_R: Tensor) -> None:
        """Only these rows of the batch go on."""
        heads = self.caches[0].keys.shape[1]
        for cache in self.caches:
            cache.keep(row_R)
        self.cross = [(keys[row_R], values[row_R]) for keys, values in self.cross]
        self.cross_bias = self.cross_bias.unflatten(0, (-1, heads))[row_R].flatten(0, 1)
        self.bias_Z1S = self.bias_Z1S[: len(row_R) * heads]


class T5(nn.Module):
    """Encoder-decoder language model. `forward` gives logits for teacher forcing."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        """Keep only the blocks' inputs for the backward pass, and compute the rest again
        (activation checkpointing, Chen et al., arXiv 1604.06174)."""
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.encoder = Stack(config, decoder=False)
        self.decoder = Stack(config, decoder=True)
        self.head = (
            None
            if config.tie_word_embeddings
            else nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        )

    def reset_parameters(self, seed: int) -> T5:
        """Fresh weights from `seed`, the same on every machine and process."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nn.init.normal_(self.embedding, std=1.0)
            if self.head is not None:
                nn.init.normal_(self.head, std=1 / math.sqrt(self.config.d_model))
            for module in self.modules():
                if module is not self and hasattr(module, "reset_parameters"):
                    module.reset_parameters()  # type: ignore[operator]
        return self

    def moe_layers(self) -> dict[str, MoELayer]:
        """MoE layers by their name in the state dict."""
        return {name: m for name, m in self.named_modules() if isinstance(m, MoELayer)}

    def encode(self, tokens_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Encoder output `[B, L, D]`. Segments: 0 padding, 1.. examples packed in the row."""
        stack = self.encoder
        position = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        bias = stack.position_bias(position, position) + _mask(segments_BL, segments_BL)
        x = F.dropout(F.embedding(tokens_BL, self.embedding), stack.dropout, self.training)
        valid = segments_BL > 0
        for block in stack.layers():
            x = self._run(block, x, bias, valid)
        return F.dropout(stack.norm(x), stack.dropout, self.training)

    def decode(
        self,
        tokens_BL: Tensor,
        segments_BL: Tensor,
        memory_BSD: Tensor,
        memory_segments: Tensor,
        *,
        one_input: bool = False,
    ) -> Tensor:
        """Logits `[B, L, V]` for whole target sequences (teacher forcing).

        `one_input`: the segments of a target row are answers to one input, the row's segment 1.
        """
        stack = self.decoder
        position = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        causal = torch.where(position[None, :] > position[:, None], -torch.inf, 0.0)
        bias = stack.position_bias(position, position) + causal + _mask(segments_BL, segments_BL)
        asking = (segments_BL > 0).long() if one_input else segments_BL
        cross_bias = _mask(asking, memory_segments)
        x = F.dropout(F.embedding(tokens_BL, self.embedding), stack.dropout, self.training)
        valid = segments_BL > 0
        for block in stack.layers():
            x = self._run(block, x, bias, valid, memory_BSD, cross_bias)
        return self.logits(F.dropout(stack.norm(x), stack.dropout, self.training))

    def _run(self, block: Block, *inputs: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            again: Tensor = checkpoint(block, *inputs, use_reentrant=False)
            return again
        x: Tensor = block(*inputs)
        return x

    def logits(self, x: Tensor) -> Tensor:
        if self.head is None:
            # T5 v1.0 rescales where input and output embedding are one (arXiv 1910.10683).
            return linear(x * self.config.d_model**-0.5, self.embedding)
        return linear(x, self.head)

    def forward(
        self, tokens: Tensor, segments: Tensor, target_tokens: Tensor, target_segments: Tensor
    ) -> Tensor:
        """Encoder and decoder input, `[B, L]` each -> logits `[B, L_target, V]`."""
        memory = self.encode(tokens, segments)
        return self.decode(target_tokens, target_segments, memory, segments)

    def start_decoding(
        self, memory_BSD: Tensor, memory_segments: Tensor, max_tokens: int
    ) -> DecoderState:
        """Everything `step` needs for up to `max_tokens` steps, computed once for a batch."""
        ones = torch.ones_like(memory_segments[:, :1])
        cross = [block.cross_keys_values(memory_BSD) for block in self.decoder.layers()]
        heads = self.config.num_heads
        position = torch.arange(max_tokens, device=memory_BSD.device)
        bias_1H1S = self.decoder.position_bias(position[-1:], position)
        return DecoderState(
            caches=[Cache(keys, max_tokens) for keys, _ in cross],
            # Read in every step: laid out as they are read.
            cross=[(keys.contiguous(), values.contiguous()) for keys, values in cross],
            cross_bias=_mask(ones, (memory_segments > 0).long())
            .expand(-1, heads, -1, -1)
            .flatten(0, 1),
            bias_Z1S=bias_1H1S.expand(len(memory_BSD), -1, -1, -1).flatten(0, 1),
            packed=pack(self._decoding_weights(), len(memory_BSD)),
        )

    def step(self, token_B: Tensor, state: DecoderState) -> Tensor:
        """One decoding step with cached keys and values: logits `[B, V]`."""
        stack = self.decoder
        x = F.embedding(token_B[:, None], self.embedding)
        # Distances are what counts: the last keys, this token's included, whatever their positions.
        keys = state.caches[0].length + 1
        bias = state.bias_Z1S[:, :, -keys:]
        valid = torch.ones_like(token_B[:, None], dtype=torch.bool)
        with using(state.packed):
            for block, cache, cross in zip(stack.layers(), state.caches, state.cross, strict=True):
                x = block(x, bias, valid, cross, state.cross_bias, cache)
            return self.logits(stack.norm(x))[:, 0]

    def _decoding_weights(self) -> Iterator[Tensor]:
        """The matrices that each step multiplies by; experts and routers are not among them."""
        yield self.embedding if self.head is None else self.head
        for block in self.decoder.layers():
            yield from block.attention.parameters()
            if block.cross_attention is not None:
                # Its keys and values are computed once, before the first step.
                yield from (block.cross_attention.q, block.cross_attention.o)
            if isinstance(block.feed_forward, FeedForward):
                yield from block.feed_forward.parameters()


def _mask(query_BL: Tensor, key_BS: Tensor) -> Tensor:
    """0 where query and key share a segment, -inf elsewhere: `[B, 1, L, S]`.

    A padding query sees all padding (segment 0), so no row of the scores is empty; where the
    keys hold no padding it sees everything. Its output is never used.
    """
    same = query_BL[:, :, None] == key_BS[:, None, :]
    same = same | (query_BL == 0)[:, :, None]
    return torch.where(same, 0.0, -torch.inf).unsqueeze(1)
