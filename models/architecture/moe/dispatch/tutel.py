"""Tutel's encode, decode and all-to-all (Hwang et al., arXiv 2206.03382) as a dispatch backend.

Tutel describes a routing by k pairs (expert, row) a token; a row beyond the capacity means that
the token takes no part. Its fast dispatcher copies rows to `[E, C, D]` and back with their weights.

Optional: Tutel is installed by its own instructions, https://github.com/microsoft/Tutel.

Shape suffixes: T tokens, K choices, E experts, C rows of an expert, D d_model, A assignments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.dispatch.padded import rows_needed, run_padded
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing, slots


class TutelDispatch:
    """Routers that send a token to at most a fixed number of experts."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        from tutel import moe, net

        rows = rows_needed(routing, self.group)
        expert_KT, row_KT, weight_KT = choices(routing, len(x_TD), rows)
        dispatcher: Any = moe.fast_dispatcher(
            num_global_experts=len(routing.rows_per_expert_E),
            capacity=rows,
            model_dim=x_TD.shape[1],
            dispatch_dtype=x_TD.dtype,
        )
        dispatcher.update(list(expert_KT), list(row_KT), list(weight_KT), capacity=rows)
        x_ECD = dispatcher.encode(x_TD.contiguous())
        x_ECD = x_ECD.view(len(routing.rows_per_expert_E), rows, x_TD.shape[1])
        if self.group is None or self.group.size() == 1:
            y_ECD = run_padded(x_ECD, experts)
        else:
            # [E, C, D] here to [E / W, W * C, D] there, and back.
            x_ECD = net.all_to_all(x_ECD, 1, 0, group=self.group)
            y_ECD = net.all_to_all(run_padded(x_ECD, experts), 0, 1, group=self.group)
        y_TD: Tensor = dispatcher.decode(y_ECD.reshape(-1, x_TD.shape[1]).contiguous())
        return y_TD


def choices(routing: Routing, tokens: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """(expert, row, weight) of each token's k choices, `[K, T]` each.

    A choice that is not made has weight 0 and a row beyond the capacity, `rows`.
    """
    choice_A = slots(routing.token_A, tokens)
    k = int(choice_A.max()) + 1 if choice_A.numel() else 1
    place = (choice_A, routing.token_A)
    like = routing.token_A.new_zeros(k, tokens, dtype=torch.int32)
    expert_KT = like.index_put(place, routing.expert_A.int())
    row_KT = torch.full_like(like, rows).index_put(place, routing.slot_A.int())
    weight_KT = routing.weight_A.new_zeros(k, tokens).index_put(place, routing.weight_A)
    return expert_KT, row_KT, weight_KT
