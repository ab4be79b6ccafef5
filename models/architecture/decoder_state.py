"""State of incremental decoding: cached keys and values.

Shape suffixes: B batch, S key length, H heads, K head size, R selected rows, Z = B * H.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

KeyValues = tuple[Tensor, Tensor]


class KeyValueCache:
    """Keys and values of the tokens decoded so far, in buffers of the maximum length."""

    def __init__(self, cross_keys_BHSK: Tensor, max_length: int) -> None:
        """Allocate the buffers.

        Args:
            cross_keys_BHSK: keys of the cross-attention, which have the same B, H and K.
            max_length: maximum number of decoded tokens.
        """
        batch, heads, _, width = cross_keys_BHSK.shape
        buffers = cross_keys_BHSK.new_empty(2, batch, heads, max_length, width)
        self.keys, self.values = buffers.unbind(0)
        self.length = 0

    def append(self, kv: KeyValues) -> KeyValues:
        """Append one token.

        Args:
            kv: keys and values of the token, `[B, H, 1, K]` each.

        Returns:
            Keys and values of all tokens so far, `[B, H, S, K]` each; views of the buffers.
        """
        position, self.length = self.length, self.length + 1
        self.keys[:, :, position : self.length], self.values[:, :, position : self.length] = kv
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def select_rows(self, row_R: Tensor) -> None:
        """Remove all other rows of the batch.

        Args:
            row_R: indices of the rows to retain, int64.
        """
        self.keys, self.values = self.keys[row_R], self.values[row_R]


@dataclass
class DecoderState:
    """State between decoding steps. Lists have one entry per layer."""

    caches: list[KeyValueCache]
    cross: list[KeyValues]
    cross_bias_Z1S: Tensor
    """-inf where a row's input is padding, else 0."""
    bias_Z1S: Tensor
    """Relative position bias of all keys, the oldest first, for a query at the last position."""
    prepacked: dict[int, Tensor]
    """Decoder weights in oneDNN's layout (`matmul.prepack_weights`)."""

    def select_rows(self, row_R: Tensor) -> None:
        """Remove all other rows of the batch.

        Args:
            row_R: indices of the rows to retain, int64.
        """
        heads = self.caches[0].keys.shape[1]
        for cache in self.caches:
            cache.select_rows(row_R)
        self.cross = [(keys[row_R], values[row_R]) for keys, values in self.cross]
        self.cross_bias_Z1S = self.cross_bias_Z1S.unflatten(0, (-1, heads))[row_R].flatten(0, 1)
        self.bias_Z1S = self.bias_Z1S[: len(row_R) * heads]
