"""Packs pairs of sequences into rows of two fixed lengths, both sides at once.

Best fit, decreasing: an example goes to the open row it fills most. Open rows are kept by the room
they have left on each side, as bits of whole numbers, so that finding one costs no scan over rows.

    lengths (enc, dec):  (6,2) (3,1) (4,2)        row 10 / 4
    rows:                [(6,2) (4,2)]  [(3,1)]
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Lengths = npt.NDArray[np.int64]
SHORTEST = 2
"""The shortest example is a token and an end mark on each side: less room is no room."""


def pack(
    encoder: Lengths, decoder: Lengths, encoder_length: int, decoder_length: int
) -> list[list[int]]:
    """Indices of the examples of each row; `encoder[i]`, `decoder[i]` are example i's lengths.

    Raises ValueError for an example longer than a row.
    """
    too_long = np.flatnonzero((encoder > encoder_length) | (decoder > decoder_length))
    if len(too_long):
        index = int(too_long[0])
        raise ValueError(
            f"example {index} is {encoder[index]} + {decoder[index]} tokens; "
            f"a row holds {encoder_length} + {decoder_length}"
        )
    fill = np.maximum(encoder / encoder_length, decoder / decoder_length)
    order = np.argsort(-fill, kind="stable").tolist()
    sizes = list(zip(encoder.tolist(), decoder.tolist(), strict=True))
    rows: list[list[int]] = []
    open_rows = _OpenRows(encoder_length)
    for index in order:
        size_e, size_d = sizes[index]
        found = open_rows.take(size_e, size_d)
        if found is None:
            room_e, room_d, row = encoder_length, decoder_length, len(rows)
            rows.append([index])
        else:
            room_e, room_d, row = found
            rows[row].append(index)
        room_e -= size_e
        room_d -= size_d
        if room_e >= SHORTEST and room_d >= SHORTEST:
            open_rows.add(room_e, room_d, row)
    return rows


def row_lower_bound(
    encoder: Lengths, decoder: Lengths, encoder_length: int, decoder_length: int
) -> int:
    """A number of rows that no packing can go below: each side alone needs as many.

    Beside the room that the tokens take, examples of more than half a row on one side need a row
    each (Martello & Toth, Discrete Applied Mathematics 28, 1990: the bound L2 at one half).
    """
    return max(
        bound
        for sizes, length in ((encoder, encoder_length), (decoder, decoder_length))
        for bound in (math.ceil(int(sizes.sum()) / length), int((2 * sizes > length).sum()))
    )


class _OpenRows:
    """Rows with room, found by the room: tightest on the encoder's side, then the decoder's."""

    def __init__(self, encoder_length: int) -> None:
        self._rows: dict[tuple[int, int], list[int]] = {}
        self._encoder = 0
        """Bit e: some open row has e tokens of room for the encoder."""
        self._decoder = [0] * (encoder_length + 1)
        """Bit d of entry e: some open row has e and d tokens of room."""

    def add(self, room_e: int, room_d: int, row: int) -> None:
        self._rows.setdefault((room_e, room_d), []).append(row)
        self._encoder |= 1 << room_e
        self._decoder[room_e] |= 1 << room_d

    def take(self, encoder: int, decoder: int) -> tuple[int, int, int] | None:
        """Removes and returns (encoder room, decoder room, row) of the tightest that fits."""
        left = self._encoder >> encoder << encoder
        while left:
            lowest = left & -left
            room_e = lowest.bit_length() - 1
            fitting = self._decoder[room_e] >> decoder << decoder
            if fitting:
                room_d = (fitting & -fitting).bit_length() - 1
                return room_e, room_d, self._remove(room_e, room_d)
            left ^= lowest
        return None

    def _remove(self, room_e: int, room_d: int) -> int:
        rows = self._rows[room_e, room_d]
        row = rows.pop()
        if not rows:
            del self._rows[room_e, room_d]
            self._decoder[room_e] ^= 1 << room_d
            if not self._decoder[room_e]:
                self._encoder ^= 1 << room_e
        return row
