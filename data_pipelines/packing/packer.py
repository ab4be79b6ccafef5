"""Pack pairs of sequences into rows of two fixed lengths, encoder and decoder together.

Best fit decreasing: examples are placed in decreasing order of the share of a row that they fill.
Each example goes to the open row with the fewest free encoder tokens, then the fewest free decoder
tokens, in which it fits. Bit sets index the open rows by the free tokens of both sides, so a search
does not scan the rows.

    lengths (enc, dec):  (6,2) (3,1) (4,2)        row 10 / 4
    rows:                [(6,2) (4,2)]  [(3,1)]
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Lengths = npt.NDArray[np.int64]
MIN_EXAMPLE_TOKENS = 2
"""The shortest example has a token and an end-of-sequence token on each side."""


def pack(
    encoder: Lengths, decoder: Lengths, encoder_length: int, decoder_length: int
) -> list[list[int]]:
    """Assign examples to rows.

    Args:
        encoder: encoder tokens of each example, int64 [num_examples].
        decoder: decoder tokens of each example, int64 [num_examples].
        encoder_length: encoder tokens per row.
        decoder_length: decoder tokens per row.

    Returns:
        For each row, the indices of its examples.

    Raises:
        ValueError: an example is longer than a row.
    """
    too_long = np.flatnonzero((encoder > encoder_length) | (decoder > decoder_length))
    if len(too_long):
        index = int(too_long[0])
        raise ValueError(
            f"example {index} has {encoder[index]} + {decoder[index]} tokens, more than a row of "
            f"{encoder_length} + {decoder_length}; truncate it first"
        )
    fill = np.maximum(encoder / encoder_length, decoder / decoder_length)
    order = np.argsort(-fill, kind="stable").tolist()
    sizes = list(zip(encoder.tolist(), decoder.tolist(), strict=True))
    rows: list[list[int]] = []
    open_rows = _OpenRows(encoder_length)
    for index in order:
        size_e, size_d = sizes[index]
        match = open_rows.pop_best_fit(size_e, size_d)
        if match is None:
            free_e, free_d, row = encoder_length, decoder_length, len(rows)
            rows.append([index])
        else:
            free_e, free_d, row = match
            rows[row].append(index)
        free_e -= size_e
        free_d -= size_d
        if free_e >= MIN_EXAMPLE_TOKENS and free_d >= MIN_EXAMPLE_TOKENS:
            open_rows.add(free_e, free_d, row)
    return rows


def row_lower_bound(
    encoder: Lengths, decoder: Lengths, encoder_length: int, decoder_length: int
) -> int:
    """Return a lower bound on the number of rows of any packing.

    The arguments are those of `pack`. Each side needs enough rows for its tokens, and one row per
    example longer than half a row (Martello & Toth, Discrete Applied Mathematics 28, 1990: the
    bound L2 at one half).
    """
    return max(
        bound
        for sizes, length in ((encoder, encoder_length), (decoder, decoder_length))
        for bound in (math.ceil(int(sizes.sum()) / length), int((2 * sizes > length).sum()))
    )


class _OpenRows:
    """Rows with free tokens, indexed by the free tokens of each side."""

    def __init__(self, encoder_length: int) -> None:
        self._rows: dict[tuple[int, int], list[int]] = {}
        self._encoder_bits = 0
        """Bit e: some open row has e free encoder tokens."""
        self._decoder_bits = [0] * (encoder_length + 1)
        """Bit d of entry e: some open row has e free encoder tokens and d free decoder tokens."""

    def add(self, free_e: int, free_d: int, row: int) -> None:
        self._rows.setdefault((free_e, free_d), []).append(row)
        self._encoder_bits |= 1 << free_e
        self._decoder_bits[free_e] |= 1 << free_d

    def pop_best_fit(self, size_e: int, size_d: int) -> tuple[int, int, int] | None:
        """Remove the fitting row with the fewest free encoder tokens, then decoder tokens.

        Returns:
            Its free encoder tokens, free decoder tokens and row number; None if no row fits.
        """
        candidates = self._encoder_bits >> size_e << size_e
        while candidates:
            lowest = candidates & -candidates
            free_e = lowest.bit_length() - 1
            fitting = self._decoder_bits[free_e] >> size_d << size_d
            if fitting:
                free_d = (fitting & -fitting).bit_length() - 1
                return free_e, free_d, self._remove(free_e, free_d)
            candidates ^= lowest
        return None

    def _remove(self, free_e: int, free_d: int) -> int:
        rows = self._rows[free_e, free_d]
        row = rows.pop()
        if not rows:
            del self._rows[free_e, free_d]
            self._decoder_bits[free_e] ^= 1 << free_d
            if not self._decoder_bits[free_e]:
                self._encoder_bits ^= 1 << free_e
        return row
