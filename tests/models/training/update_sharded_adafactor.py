"""Take 6 Adafactor steps with sharded weights and save the full weights; for `tests.ranks`."""

from pathlib import Path

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from models.training.adafactor import Adafactor
from models.training.distributed import init_distributed
from tests.models.training.sharded_adafactor_cases import CASES, gradient, initial_weight


def main(target):
    """Write the weights of each case, by name, to the file `target`."""
    torch.set_num_threads(1)
    with init_distributed(60) as dist:
        mesh = init_device_mesh("cpu", (2, dist.world_size // 2), mesh_dim_names=("a", "b"))
        weights = {}
        for name, (shape, placements) in CASES.items():
            placed = [Shard(dim) for dim in placements]
            weight = torch.nn.Parameter(distribute_tensor(initial_weight(shape), mesh, placed))
            optimizer = Adafactor([weight], lr=0.1)
            for step in range(6):
                weight.grad = distribute_tensor(gradient(shape, step), mesh, placed)
                optimizer.step()
            assert isinstance(weight.data, DTensor)
            weights[name] = weight.detach().full_tensor()
        if dist.is_main:
            torch.save(weights, Path(target))
