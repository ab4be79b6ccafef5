"""Tutel's encode, decode and all-to-all (Hwang et al., arXiv 2206.03382) as a dispatch backend.

Tutel represents a routing as k pairs (expert, row) per token; a row beyond the capacity marks an
unused choice. Its fast dispatcher copies rows to `[E, C, D]` and combines them by their weights.

Optional dependency, installed as https://github.com/microsoft/Tutel describes.

Shape suffixes: T tokens, K choices, E experts, C capacity, D d_model, A assignments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.dispatch.padded import required_capacity, run_padded
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing, positions_in_expert


class TutelDispatch:
    """Dispatch through Tutel; supports routers with at most `top_k` experts per token."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        """Dispatch tokens; see `Dispatcher`.

        Args:
            x_TD: tokens, float `[T, D]`.
            routing: assignments of these tokens.
            experts: the layer's experts, sharded along E over `group`.
        """
        from tutel import moe, net

        capacity = required_capacity(routing, self.group)
        expert_KT, row_KT, weight_KT = token_choices(routing, len(x_TD), capacity)
        dispatcher: Any = moe.fast_dispatcher(
            num_global_experts=len(routing.tokens_per_expert_E),
            capacity=capacity,
            model_dim=x_TD.shape[1],
            dispatch_dtype=x_TD.dtype,
        )
        dispatcher.update(list(expert_KT), list(row_KT), list(weight_KT), capacity=capacity)
        x_ECD = dispatcher.encode(x_TD.contiguous())
        x_ECD = x_ECD.view(len(routing.tokens_per_expert_E), capacity, x_TD.shape[1])
        if self.group is None or self.group.size() == 1:
            y_ECD = run_padded(x_ECD, experts)
        else:
            # From [E, C, D] to [E / W, W * C, D] on each of W ranks, and back.
            x_ECD = net.all_to_all(x_ECD, 1, 0, group=self.group)
            y_ECD = net.all_to_all(run_padded(x_ECD, experts), 0, 1, group=self.group)
        y_TD: Tensor = dispatcher.decode(y_ECD.reshape(-1, x_TD.shape[1]).contiguous())
        return y_TD


def token_choices(
    routing: Routing, num_tokens: int, capacity: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Convert a routing to Tutel's form, k choices per token.

    Args:
        routing: assignments.
        num_tokens: T.
        capacity: C.

    Returns:
        Expert (int32), row (int32) and weight (float) of each choice, `[K, T]` each. An unused
        choice has weight 0 and row `capacity`.
    """
    choice_A = positions_in_expert(routing.token_A, num_tokens)
    top_k = int(choice_A.max()) + 1 if choice_A.numel() else 1
    index = (choice_A, routing.token_A)
    zeros_KT = routing.token_A.new_zeros(top_k, num_tokens, dtype=torch.int32)
    expert_KT = zeros_KT.index_put(index, routing.expert_A.int())
    row_KT = torch.full_like(zeros_KT, capacity).index_put(
        index, routing.position_in_expert_A.int()
    )
    weight_KT = routing.weight_A.new_zeros(top_k, num_tokens).index_put(index, routing.weight_A)
    return expert_KT, row_KT, weight_KT
