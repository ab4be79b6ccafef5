"""The padded layout of GShard: each expert has `capacity` rows from each rank.

Shape suffixes: E experts, C capacity, D d_model, A rows of all experts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


def required_capacity(routing: Routing, group: dist.ProcessGroup | None) -> int:
    """Return the max expert load over all ranks: the smallest C that drops no assignment."""
    largest = routing.tokens_per_expert_E.max().clamp(min=1)
    if group is not None and group.size() > 1:
        dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return int(largest)


def run_padded(x_ECD: Tensor, experts: Experts) -> Tensor:
    """Run all rows through their experts, padding included.

    Args:
        x_ECD: rows of this rank's experts, float `[E, C, D]`.
        experts: the layer's experts.

    Returns:
        Outputs without weights, `[E, C, D]`.
    """
    num_local_experts, capacity, width = x_ECD.shape
    x_AD = x_ECD.reshape(-1, width)
    row_A = torch.arange(num_local_experts * capacity, device=x_AD.device)
    counts_E = torch.full((num_local_experts,), capacity, device=x_AD.device)
    y_AD: Tensor = experts(x_AD, row_A, counts_E, None)
    return y_AD.view(num_local_experts, capacity, width)
