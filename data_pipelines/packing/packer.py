"""Packs pairs of sequences into rows of two fixed lengths, both sides at once.

Best fit, decreasing: an example goes to the open row it fills most. Rows are kept by the room
they have left on each side, so finding one costs no scan over all rows.

    lengths (enc, dec):  (6,2) (3,1) (4,2)        row 10 / 4
    rows:                [(6,2) (4,2)]  [(3,1)]
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def pack(
    lengths: Sequence[tuple[int, int]], encoder_length: int, decoder_length: int
) -> list[list[int]]:
    """Indices of the examples of each row. Raises ValueError for one longer than a row."""
    order = sorted(
        range(len(lengths)), key=lambda i: (-_fill(lengths[i], encoder_length, decoder_length), i)
    )
    rows: list[list[int]] = []
    # (encoder room, decoder room, row), sorted: the first that fits is the tightest encoder.
    open_rows: list[tuple[int, int, int]] = []
    for index in order:
        encoder, decoder = lengths[index]
        if encoder > encoder_length or decoder > decoder_length:
            raise ValueError(
                f"example {index} is {encoder} + {decoder} tokens; "
                f"a row holds {encoder_length} + {decoder_length}"
            )
        at = bisect_left(open_rows, (encoder, decoder, -1))
        while at < len(open_rows) and open_rows[at][1] < decoder:
            at += 1
        if at < len(open_rows):
            room_e, room_d, row = open_rows.pop(at)
        else:
            room_e, room_d, row = encoder_length, decoder_length, len(rows)
            rows.append([])
        rows[row].append(index)
        room_e, room_d = room_e - encoder, room_d - decoder
        # The shortest example is a token and an end mark on each side: less room is no room.
        if room_e >= 2 and room_d >= 2:
            insort(open_rows, (room_e, room_d, row))
    return rows


def _fill(length: tuple[int, int], encoder_length: int, decoder_length: int) -> float:
    return max(length[0] / encoder_length, length[1] / decoder_length)
