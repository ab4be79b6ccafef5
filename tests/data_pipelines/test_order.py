"""The order of training, against a stream that is written out epoch by epoch."""

import numpy as np
import pytest

from data_pipelines.order import batch_of_step, row_indices, stream_positions, stream_rows


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_row_indices_epoch_visits_every_row_once(world_size):
    rows = [
        row
        for batch in range(5)
        for rank in range(world_size)
        for row in row_indices(20, batch, 4, seed=1, rank=rank, world_size=world_size)
    ]
    assert sorted(rows) == list(range(20))


def test_row_indices_on_more_ranks_cover_the_same_rows():
    for batch in (0, 3, 7):
        single_rank = sorted(row_indices(10, batch, 4, seed=2))
        two_ranks = [row_indices(10, batch, 4, seed=2, rank=r, world_size=2) for r in (0, 1)]
        assert sorted(np.concatenate(two_ranks)) == single_rank


def test_row_indices_of_another_epoch_or_seed_have_another_order():
    first = [row for b in range(5) for row in row_indices(20, b, 4, seed=1)]
    second = [row for b in range(5, 10) for row in row_indices(20, b, 4, seed=1)]
    other = [row for b in range(5) for row in row_indices(20, b, 4, seed=2)]
    assert first != second != other


def replay_stream(num_rows, seed, num_epochs):
    """Return the rows of the stream as the decision on data order defines them."""
    return [
        row
        for epoch in range(num_epochs)
        for row in np.random.Generator(np.random.PCG64([seed, epoch])).permutation(num_rows)
    ]


def test_stream_rows_equal_the_replayed_stream_in_any_order():
    stream = replay_stream(7, seed=3, num_epochs=4)
    positions = np.array([20, 0, 6, 7, 27, 3])
    assert stream_rows(7, 3, positions).tolist() == [stream[p] for p in positions]


@pytest.mark.parametrize("num_positions", [0, 1, 7, 8, 25, 28])
def test_stream_positions_are_all_places_of_the_rows_in_the_replayed_stream(num_positions):
    stream = replay_stream(7, seed=3, num_epochs=4)[:num_positions]
    positions = stream_positions(7, 3, np.array([5, 2]), num_positions)
    assert positions.tolist() == [p for p, row in enumerate(stream) if row in (5, 2)]


def test_batch_of_step_leaves_out_the_skipped_batches():
    assert [batch_of_step(step, [1, 2, 5]) for step in range(5)] == [0, 3, 4, 6, 7]
