import torch

from models.architecture.moe.routing import expert_capacity, positions_in_expert


def test_expert_capacity_is_as_published():
    assert expert_capacity(1024, 128, 1, 1.25, 4) == 10


def test_expert_capacity_lies_between_min_capacity_and_the_tokens():
    assert expert_capacity(8, 128, 1, 1.25, 4) == 4
    assert expert_capacity(2, 128, 1, 1.25, 4) == 2


def test_expert_capacity_without_a_factor_is_all_tokens():
    assert expert_capacity(100, 8, 1, None, 4) == 100


def test_positions_in_expert_are_counted_in_list_order():
    assert positions_in_expert(torch.tensor([0, 1, 0, 0, 1]), 3).tolist() == [0, 0, 1, 2, 1]
