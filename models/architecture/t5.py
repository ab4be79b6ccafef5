"""The T5 v1.1 encoder-decoder, dense or with MoE layers.

Raffel et al., arXiv 1910.10683; MoE placement as in Switch, arXiv 2101.03961, section 2.

Shape suffixes: B batch, L query length, S key length, H heads, K head size, D d_model,
V vocabulary, Z = B * H.
Packed rows: several examples share a row, and tokens attend only to their own segment. Segment 0
is padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from models.architecture.attention import Attention, RelativePositionBias
from models.architecture.decoder_state import DecoderState, KeyValueCache, KeyValues
from models.architecture.dropout import Dropout
from models.architecture.feed_forward import FeedForward
from models.architecture.matmul import linear, prepack_weights, use_prepacked
from models.architecture.moe.layer import MoELayer
from models.architecture.norm import RMSNorm
from models.config import ModelConfig


class Block(nn.Module):
    """Self-attention, cross-attention in a decoder, and feed-forward, each after a norm.

    With `dense_after_moe` a block with experts ends with a dense feed-forward layer.
    """

    def __init__(self, config: ModelConfig, *, decoder: bool, sparse: bool) -> None:
        super().__init__()
        self.dropout = Dropout(config)
        self.attention_norm = RMSNorm(config.d_model)
        self.attention = Attention(config)
        self.cross_norm = RMSNorm(config.d_model) if decoder else None
        self.cross_attention = Attention(config) if decoder else None
        self.feed_forward_norm = RMSNorm(config.d_model)
        self.feed_forward: FeedForward | MoELayer = (
            MoELayer(config, decoder=decoder) if sparse else FeedForward(config)
        )
        has_extra_layer = sparse and config.moe is not None and config.moe.dense_after_moe
        self.extra_norm = RMSNorm(config.d_model) if has_extra_layer else None
        self.extra_feed_forward = FeedForward(config) if has_extra_layer else None
        """ST-MoE's dense layer after the experts."""

    def forward(
        self,
        x_BLD: Tensor,
        bias: Tensor,
        valid_BL: Tensor,
        cross: Tensor | KeyValues | None = None,
        cross_bias: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Compute the block.

        Args:
            x_BLD: tokens, float `[B, L, D]`; L is 1 with a cache.
            bias: position bias and mask of the self-attention, `[B or 1, H or 1, L, S]`; with a
                cache `[Z, 1, S]`.
            valid_BL: bool `[B, L]`, False for padding.
            cross: decoder only: the encoder's output `[B, S, D]`, or its keys and values.
            cross_bias: decoder only: mask of the cross-attention, in the form of `bias`.
            cache: keys and values of earlier tokens, to which those of this token are appended.

        Returns:
            `[B, L, D]`.
        """
        h = self.attention_norm(x_BLD)
        kv = self.attention.keys_values(h)
        if cache is not None:
            kv = cache.append(kv)
        attend = self.attention if cache is None else self.attention.decode_step
        x_BLD = x_BLD + self.dropout(attend(h, kv, bias))
        if self.cross_attention is not None and self.cross_norm is not None:
            assert cross is not None
            assert cross_bias is not None
            kv = self.cross_attention.keys_values(cross) if isinstance(cross, Tensor) else cross
            h = self.cross_norm(x_BLD)
            attend = self.cross_attention if cache is None else self.cross_attention.decode_step
            x_BLD = x_BLD + self.dropout(attend(h, kv, cross_bias))
        x_BLD = x_BLD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BLD), valid_BL))
        if self.extra_feed_forward is not None and self.extra_norm is not None:
            h = self.extra_norm(x_BLD)
            x_BLD = x_BLD + self.dropout(self.extra_feed_forward(h, valid_BL))
        return x_BLD

    def cross_keys_values(self, memory_BSD: Tensor) -> KeyValues:
        """Project the keys and values of the cross-attention.

        Args:
            memory_BSD: the encoder's output, float `[B, S, D]`.

        Returns:
            Keys and values, `[B, H, S, K]` each.
        """
        assert self.cross_attention is not None
        return self.cross_attention.keys_values(memory_BSD)


class Stack(nn.Module):
    """The encoder or the decoder: blocks, a shared relative position bias, a final norm."""

    def __init__(self, config: ModelConfig, *, decoder: bool) -> None:
        super().__init__()
        moe_layers = config.moe_layers()
        self.dropout = Dropout(config)
        self.blocks = nn.ModuleList(
            Block(config, decoder=decoder, sparse=i in moe_layers) for i in range(config.num_layers)
        )
        self.position_bias = RelativePositionBias(config, bidirectional=not decoder)
        self.norm = RMSNorm(config.d_model)

    def layers(self) -> list[Block]:
        """Return the blocks in order."""
        return [block for block in self.blocks if isinstance(block, Block)]


class T5(nn.Module):
    """Encoder-decoder language model."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.activation_checkpointing = False
        """Save only the inputs of the blocks for the backward pass and recompute the rest
        (Chen et al., arXiv 1604.06174)."""
        self.embedding = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        self.encoder = Stack(config, decoder=False)
        self.decoder = Stack(config, decoder=True)
        self.head = (
            None
            if config.tie_word_embeddings
            else nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        )

    def reset_parameters(self, seed: int) -> T5:
        """Initialize all weights from a seed, identically on every machine and rank.

        The global random state does not change.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nn.init.normal_(self.embedding, std=1.0)
            if self.head is not None:
                nn.init.normal_(
                    self.head, std=math.sqrt(self.config.init_scale / self.config.d_model)
                )
            for module in self.modules():
                if module is not self and hasattr(module, "reset_parameters"):
                    module.reset_parameters()  # type: ignore[operator]
        return self

    def moe_layers(self) -> dict[str, MoELayer]:
        """Return the MoE layers by their name in the state dict."""
        return {name: m for name, m in self.named_modules() if isinstance(m, MoELayer)}

    def encode(self, tokens_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Compute the encoder's output.

        Args:
            tokens_BL: token ids, int64 `[B, L]`.
            segments_BL: 0 for padding, 1, 2, ... for the examples packed in a row, int64 `[B, L]`.

        Returns:
            `[B, L, D]`.
        """
        stack = self.encoder
        position = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        bias = stack.position_bias(position, position) + _mask(segments_BL, segments_BL)
        x = stack.dropout(F.embedding(tokens_BL, self.embedding))
        valid = segments_BL > 0
        for block in stack.layers():
            x = self._run(block, x, bias, valid)
        memory: Tensor = stack.dropout(stack.norm(x))
        return memory

    def decode(
        self,
        tokens_BL: Tensor,
        segments_BL: Tensor,
        memory_BSD: Tensor,
        memory_segments: Tensor,
        *,
        shared_input: bool = False,
    ) -> Tensor:
        """Compute logits for complete target sequences (teacher forcing).

        Args:
            tokens_BL: decoder input ids, int64 `[B, L]`.
            segments_BL: segments of the targets, int64 `[B, L]`, 0 for padding.
            memory_BSD: the encoder's output, float `[B, S, D]`.
            memory_segments: segments of the inputs, int64 `[B, S]`.
            shared_input: all target segments of a row attend to input segment 1; by default each
                attends to the input segment of the same number.

        Returns:
            `[B, L, V]`.
        """
        stack = self.decoder
        position = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        causal = torch.where(position[None, :] > position[:, None], -torch.inf, 0.0)
        bias = stack.position_bias(position, position) + causal + _mask(segments_BL, segments_BL)
        query_segments = (segments_BL > 0).long() if shared_input else segments_BL
        cross_bias = _mask(query_segments, memory_segments)
        x = stack.dropout(F.embedding(tokens_BL, self.embedding))
        valid = segments_BL > 0
        for block in stack.layers():
            x = self._run(block, x, bias, valid, memory_BSD, cross_bias)
        return self.logits(stack.dropout(stack.norm(x)))

    def _run(self, block: Block, *inputs: Tensor) -> Tensor:
        if self.activation_checkpointing and torch.is_grad_enabled():
            checkpointed: Tensor = checkpoint(block, *inputs, use_reentrant=False)
            return checkpointed
        x: Tensor = block(*inputs)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Apply the output layer.

        Args:
            x: the decoder's output, float `[..., D]`.

        Returns:
            `[..., V]`.
        """
        if self.head is None:
            # T5 v1.0 rescales tied embeddings (mesh_tensorflow/transformer/transformer.py).
            return linear(x * self.config.d_model**-0.5, self.embedding)
        return linear(x, self.head)

    def forward(
        self, tokens: Tensor, segments: Tensor, target_tokens: Tensor, target_segments: Tensor
    ) -> Tensor:
        """Compute logits for teacher forcing.

        Args:
            tokens: encoder input ids, int64 `[B, S]`.
            segments: segments of the inputs, int64 `[B, S]`, 0 for padding.
            target_tokens: decoder input ids, int64 `[B, L]`.
            target_segments: segments of the targets, int64 `[B, L]`, 0 for padding.

        Returns:
            `[B, L, V]`.
        """
        memory = self.encode(tokens, segments)
        return self.decode(target_tokens, target_segments, memory, segments)

    def start_decoding(
        self, memory_BSD: Tensor, memory_segments: Tensor, max_tokens: int
    ) -> DecoderState:
        """Compute the state from which `decode_step` starts.

        Args:
            memory_BSD: the encoder's output, float `[B, S, D]`.
            memory_segments: 1 for input tokens, 0 for padding, int64 `[B, S]`.
            max_tokens: maximum number of decoding steps.
        """
        ones = torch.ones_like(memory_segments[:, :1])
        cross = [block.cross_keys_values(memory_BSD) for block in self.decoder.layers()]
        heads = self.config.num_heads
        position = torch.arange(max_tokens, device=memory_BSD.device)
        bias_1H1S = self.decoder.position_bias(position[-1:], position)
        return DecoderState(
            caches=[KeyValueCache(keys, max_tokens) for keys, _ in cross],
            # Contiguous, because every step reads them.
            cross=[(keys.contiguous(), values.contiguous()) for keys, values in cross],
            cross_bias_Z1S=_mask(ones, (memory_segments > 0).long())
            .expand(-1, heads, -1, -1)
            .flatten(0, 1),
            bias_Z1S=bias_1H1S.expand(len(memory_BSD), -1, -1, -1).flatten(0, 1),
            prepacked=prepack_weights(self._decoding_weights(), len(memory_BSD)),
        )

    def decode_step(self, token_B: Tensor, state: DecoderState) -> Tensor:
        """Decode one token per row with cached keys and values.

        Args:
            token_B: previous token of each row, int64 `[B]`.
            state: state of the decoder, updated in place.

        Returns:
            Logits of the next token, `[B, V]`.
        """
        stack = self.decoder
        x = F.embedding(token_B[:, None], self.embedding)
        # The bias depends on distances only, so its last columns apply to any query position.
        num_keys = state.caches[0].length + 1
        bias = state.bias_Z1S[:, :, -num_keys:]
        valid = torch.ones_like(token_B[:, None], dtype=torch.bool)
        with use_prepacked(state.prepacked):
            for block, cache, cross in zip(stack.layers(), state.caches, state.cross, strict=True):
                x = block(x, bias, valid, cross, state.cross_bias_Z1S, cache)
            return self.logits(stack.norm(x))[:, 0]

    def _decoding_weights(self) -> Iterator[Tensor]:
        """Yield the matrices of a decoding step, without experts and routers."""
        yield self.embedding if self.head is None else self.head
        for block in self.decoder.layers():
            yield from block.attention.parameters()
            if block.cross_attention is not None:
                # Keys and values of the input are projected before the first step.
                yield from (block.cross_attention.q, block.cross_attention.o)
            for layer in (block.feed_forward, block.extra_feed_forward):
                if isinstance(layer, FeedForward):
                    yield from layer.parameters()


def _mask(query_BL: Tensor, key_BS: Tensor) -> Tensor:
    """Return 0 where query and key are in the same segment, -inf elsewhere: `[B, 1, L, S]`.

    A padding query (segment 0) attends to all keys, so that no row of the scores is all -inf; its
    output is never used.
    """
    is_visible = query_BL[:, :, None] == key_BS[:, None, :]
    is_visible = is_visible | (query_BL == 0)[:, :, None]
    return torch.where(is_visible, 0.0, -torch.inf).unsqueeze(1)
