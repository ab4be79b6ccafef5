"""A Routing in the padded layout of GShard: each expert has `capacity` rows from each process.

Shape suffixes: E experts, C rows of an expert.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


def rows_needed(routing: Routing, group: dist.ProcessGroup | None) -> int:
    """The largest load of an expert, over all processes: the smallest C that drops nothing more."""
    largest = routing.rows_per_expert_E.max().clamp(min=1)
    if group is not None and group.size() > 1:
        dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return int(largest)


def run_padded(x_ECD: Tensor, experts: Experts) -> Tensor:
    """All rows through their experts, padding included: `[E, C, D]` -> the same."""
    local, rows, width = x_ECD.shape
    x_AD = x_ECD.reshape(-1, width)
    place_A = torch.arange(local * rows, device=x_AD.device)
    rows_E = torch.full((local,), rows, device=x_AD.device)
    y_AD: Tensor = experts(x_AD, place_A, rows_E, None)
    return y_AD.view(local, rows, width)
