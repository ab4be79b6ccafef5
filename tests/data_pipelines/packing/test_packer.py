"""Packing: every example in exactly one row, no row too long, close to the lower bound."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.packing.packer import pack, row_lower_bound

PAIR = st.tuples(st.integers(2, 20), st.integers(2, 10))
PAIRS = st.lists(PAIR, max_size=60)


def split_sides(lengths):
    pairs = np.array(lengths, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def optimal_num_rows(lengths, encoder, decoder):
    """Return the smallest possible number of rows, by exhaustive search."""
    best = len(lengths)

    def place(index, free):
        nonlocal best
        if len(free) >= best:
            return
        if index == len(lengths):
            best = len(free)
            return
        e, d = lengths[index]
        for i, (free_e, free_d) in enumerate(free):
            if e <= free_e and d <= free_d:
                place(index + 1, [*free[:i], (free_e - e, free_d - d), *free[i + 1 :]])
        place(index + 1, [*free, (encoder - e, decoder - d)])

    place(0, [])
    return best


@given(PAIRS)
def test_pack_places_every_example_once_within_the_row_length(lengths):
    rows = pack(*split_sides(lengths), 20, 10)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    for row in rows:
        assert sum(lengths[i][0] for i in row) <= 20
        assert sum(lengths[i][1] for i in row) <= 10


@given(PAIRS)
def test_pack_needs_at_most_twice_the_filled_rows_plus_1(lengths):
    # No two rows can be merged, so all but the last are over half full on some side.
    rows = pack(*split_sides(lengths), 20, 10)
    filled_rows = sum(e for e, _ in lengths) / 20 + sum(d for _, d in lengths) / 10
    assert len(rows) <= 2 * filled_rows + 1


@settings(max_examples=60, deadline=None)
@given(st.lists(PAIR, max_size=7))
def test_row_lower_bound_and_pack_enclose_the_optimum(lengths):
    optimum = optimal_num_rows(lengths, 20, 10)
    assert row_lower_bound(*split_sides(lengths), 20, 10) <= optimum
    assert optimum <= len(pack(*split_sides(lengths), 20, 10)) <= optimum + 1


def test_pack_prefers_the_fullest_row_that_fits():
    # 12 and 11 open a row each; 8 fits both and completes the fuller row.
    rows = pack(*split_sides([(12, 2), (11, 2), (8, 2), (9, 2)]), 20, 10)
    assert sorted(map(sorted, rows)) == [[0, 2], [1, 3]]


def test_pack_of_many_short_examples_fills_rows():
    rng = random.Random(0)
    lengths = [(rng.randint(10, 40), rng.randint(2, 5)) for _ in range(3000)]
    rows = pack(*split_sides(lengths), 128, 48)
    assert sum(e for e, _ in lengths) / (len(rows) * 128) > 0.97


def test_pack_of_an_example_longer_than_a_row_raises():
    with pytest.raises(ValueError, match=r"example 1 has 21 \+ 3 tokens, more than a row of 20"):
        pack(*split_sides([(3, 3), (21, 3)]), 20, 10)
