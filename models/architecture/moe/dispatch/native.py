"""Native dispatch: rows go to their experts in expert order, and come back weighted.

With experts on several processes, each sends every other the rows of the experts it holds, and
only those: no padding to capacity, so any routing fits, uneven and dropless ones included.

Shape suffixes: T tokens, D d_model, A assignments, E experts, W processes, R rows received.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.dispatch.all_to_all import exchange
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class NativeDispatch:
    """y_t = sum over the assignments of t of weight * expert(x_t); 0 where there is none."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group
        self.world = group.size() if group is not None else 1

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        if self.world == 1:
            y_TD: Tensor = experts(
                x_TD, routing.token_A, routing.rows_per_expert_E, routing.weight_A
            )
            return y_TD
        sent_WE = routing.rows_per_expert_E.view(self.world, -1)
        received_WE = torch.empty_like(sent_WE)
        dist.all_to_all_single(received_WE, sent_WE.contiguous(), group=self.group)
        sent, received = sent_WE.sum(1).tolist(), received_WE.sum(1).tolist()
        x_RD = exchange(x_TD[routing.token_A], sent, received, self.group)
        # They arrive by process and, within one, by expert; experts want them by expert.
        local_experts = torch.arange(sent_WE.shape[1]).repeat(self.world)
        expert_R = local_experts.repeat_interleave(received_WE.flatten().cpu())
        order_R = torch.argsort(expert_R, stable=True).to(x_TD.device)
        y_RD = experts(x_RD, order_R, received_WE.sum(0), None)
        y_AD = exchange(y_RD, received, sent, self.group)
        y_AD = y_AD * routing.weight_A.to(y_AD.dtype).unsqueeze(-1)
        return torch.zeros_like(x_TD, dtype=y_AD.dtype).index_add(0, routing.token_A, y_AD)
