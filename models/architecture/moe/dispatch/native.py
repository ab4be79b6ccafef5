"""Native dispatch: rows are sent to experts in expert order, without padding to a capacity.

With expert parallelism each rank sends every other rank only the rows of that rank's experts, so
any routing is supported, uneven and dropless ones included.

Shape suffixes: T tokens, D d_model, A assignments, E experts, W ranks, R received rows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist

from models.architecture.moe.dispatch.all_to_all import exchange_rows
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class NativeDispatch:
    """Dispatch backend of this project; supports every router and precision."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group
        self.world_size = group.size() if group is not None else 1

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        """Dispatch tokens; see `Dispatcher`.

        Args:
            x_TD: tokens, float `[T, D]`.
            routing: assignments of these tokens.
            experts: the layer's experts, sharded along E over `group`.
        """
        if self.world_size == 1:
            y_TD: Tensor = experts(
                x_TD, routing.token_A, routing.tokens_per_expert_E, routing.weight_A
            )
            return y_TD
        send_WE = routing.tokens_per_expert_E.view(self.world_size, -1)
        receive_WE = torch.empty_like(send_WE)
        dist.all_to_all_single(receive_WE, send_WE.contiguous(), group=self.group)
        send_counts, receive_counts = send_WE.sum(1).tolist(), receive_WE.sum(1).tolist()
        x_RD = exchange_rows(x_TD[routing.token_A], send_counts, receive_counts, self.group)
        # Rows arrive ordered by rank, then by expert; the experts need them ordered by expert.
        local_experts = torch.arange(send_WE.shape[1]).repeat(self.world_size)
        expert_R = local_experts.repeat_interleave(receive_WE.flatten().cpu())
        order_R = torch.argsort(expert_R, stable=True).to(x_TD.device)
        y_RD = experts(x_RD, order_R, receive_WE.sum(0), None)
        y_AD = exchange_rows(y_RD, receive_counts, send_counts, self.group)
        y_AD = y_AD * routing.weight_A.to(y_AD.dtype).unsqueeze(-1)
        return torch.zeros_like(x_TD, dtype=y_AD.dtype).index_add(0, routing.token_A, y_AD)
