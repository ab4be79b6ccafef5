"""Decoder inputs of a batch."""

import torch

from models.training.batches import shift_right


def test_shift_right_two_segments_starts_each_with_zero():
    target = torch.tensor([[7, 8, 1, 9, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    assert shift_right(target, segments).tolist() == [[0, 7, 8, 0, 9, 0]]
