"""Row indices of batches, and decoder inputs."""

import numpy as np
import pytest
import torch

from models.training.batches import row_indices, shift_right


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


def test_shift_right_two_segments_starts_each_with_zero():
    target = torch.tensor([[7, 8, 1, 9, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    assert shift_right(target, segments).tolist() == [[0, 7, 8, 0, 9, 0]]
