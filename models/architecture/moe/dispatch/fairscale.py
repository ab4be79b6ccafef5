"""fairscale's MOELayer (GShard, arXiv 2006.16668, algorithm 2) as a dispatch backend.

MOELayer takes two dense tensors `[T, E, C]` from its gate: which token takes which row of which
expert, and with which weight. They are built from a `Routing`, so every router is supported. Memory
and time grow with T * E * C: a slow reference implementation for small models.

Shape suffixes: T tokens, E experts, C capacity, D d_model, P tokens with padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist

from models.architecture.activation import activation
from models.architecture.moe.dispatch.padded import required_capacity
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class FairscaleDispatch:
    """Dispatch through fairscale, in float32."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group if group is not None else single_rank_group()

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        """Dispatch tokens; see `Dispatcher`.

        Args:
            x_TD: tokens, float32 `[T, D]`.
            routing: assignments of these tokens.
            experts: the layer's experts, sharded along E over `group`.
        """
        from fairscale.nn.moe import MOELayer

        local_experts = _local_experts(experts)
        # MOELayer needs a first dimension that is a multiple of its number of local experts.
        num_tokens, width = x_TD.shape
        padding = -num_tokens % len(local_experts)
        x_PD = torch.cat([x_TD, x_TD.new_zeros(padding, width)]) if padding else x_TD
        gate = _FixedGate(routing, len(x_PD), required_capacity(routing, self.group))
        layer = MOELayer(gate, nn.ModuleList(local_experts), group=self.group)
        y_PD: Tensor = layer(x_PD.view(len(local_experts), -1, width)).reshape(-1, width)
        return y_PD[:num_tokens]


def single_rank_group() -> dist.ProcessGroup:
    """Create a process group of this rank alone, which MOELayer needs for its all-to-all."""
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    group: dist.ProcessGroup = dist.new_group([dist.get_rank()], use_local_synchronization=True)
    return group


class _FixedGate(nn.Module):
    """A gate for MOELayer that returns an existing routing."""

    def __init__(self, routing: Routing, num_tokens: int, capacity: int) -> None:
        super().__init__()
        self.routing, self.num_tokens, self.capacity = routing, num_tokens, capacity

    def forward(self, x_TD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        routing = self.routing
        shape = (self.num_tokens, len(routing.tokens_per_expert_E), self.capacity)
        index = (routing.token_A, routing.expert_A, routing.position_in_expert_A)
        weight_A = routing.weight_A.to(x_TD.dtype)
        combine_TEC = x_TD.new_zeros(shape).index_put(index, weight_A)
        mask_TEC = torch.zeros(shape, dtype=torch.bool, device=x_TD.device)
        mask_TEC[index] = True
        return routing.load_balance_loss, combine_TEC, mask_TEC


class _SingleExpert(nn.Module):
    """One expert as a module for MOELayer; its weights are views of the stacked weights."""

    def __init__(self, wi: Tensor, wg: Tensor | None, wo: Tensor, dropout: float) -> None:
        super().__init__()
        self.tensors, self.dropout = (wi, wg, wo), dropout

    def forward(self, x: Tensor) -> Tensor:
        wi, wg, wo = self.tensors
        h = activation(x @ wi, None if wg is None else x @ wg)
        return nn.functional.dropout(h, self.dropout, training=self.dropout > 0) @ wo


def _local_experts(experts: Experts) -> list[nn.Module]:
    wi, wg, wo = experts.local_weights()
    dropout = experts.dropout if experts.training else 0.0
    gates = [None] * len(wi) if wg is None else wg.unbind(0)
    return [
        _SingleExpert(*weights, dropout)
        for weights in zip(wi.unbind(0), gates, wo.unbind(0), strict=True)
    ]
