"""Rows of a step by arithmetic, shifted targets."""

import numpy as np
import pytest
import torch

from models.training.batches import rows_of_step, shift_right


@pytest.mark.parametrize("world", [1, 2, 4])
def test_every_row_once_an_epoch_for_any_number_of_processes(world):
    seen = [
        row
        for step in range(5)
        for rank in range(world)
        for row in rows_of_step(20, step, 4, seed=1, rank=rank, world=world)
    ]
    assert sorted(seen) == list(range(20))


def test_a_step_holds_the_same_rows_however_many_processes():
    for step in (0, 3, 7):
        whole = sorted(rows_of_step(10, step, 4, seed=2))
        parts = [rows_of_step(10, step, 4, seed=2, rank=r, world=2) for r in (0, 1)]
        assert sorted(np.concatenate(parts)) == whole


def test_epochs_and_seeds_differ():
    first = [row for s in range(5) for row in rows_of_step(20, s, 4, seed=1)]
    second = [row for s in range(5, 10) for row in rows_of_step(20, s, 4, seed=1)]
    other = [row for s in range(5) for row in rows_of_step(20, s, 4, seed=2)]
    assert first != second != other


def test_shift_right_starts_each_segment_anew():
    target = torch.tensor([[7, 8, 1, 9, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    assert shift_right(target, segments).tolist() == [[0, 7, 8, 0, 9, 0]]
