"""fairscale's MOELayer (Algorithm 2 of GShard, arXiv 2006.16668) as a dispatch backend.

MOELayer asks its gate for two dense tensors, `[T, E, C]`: which token takes which row of which
expert, and at which weight. Ours makes them from a Routing, so every router fits. Memory and time
grow with T * E * C: it is here as a second opinion and for small models, not for speed.

Shape suffixes: T tokens, E experts, C rows of an expert, D d_model, A assignments.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist

from models.architecture.activation import activation
from models.architecture.moe.dispatch.padded import rows_needed
from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class FairscaleDispatch:
    """Works in float32."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group if group is not None else group_of_one()

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        from fairscale.nn.moe import MOELayer

        slices = _slices(experts)
        # MOELayer wants the first dimension to be a multiple of its local experts.
        tokens, width = x_TD.shape
        added = -tokens % len(slices)
        x_PD = torch.cat([x_TD, x_TD.new_zeros(added, width)]) if added else x_TD
        gate = _Gate(routing, len(x_PD), rows_needed(routing, self.group))
        layer = MOELayer(gate, nn.ModuleList(slices), group=self.group)
        y_PD: Tensor = layer(x_PD.view(len(slices), -1, width)).reshape(-1, width)
        return y_PD[:tokens]


def group_of_one() -> dist.ProcessGroup:
    """MOELayer exchanges rows even with itself, and needs a group for it."""
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    group: dist.ProcessGroup = dist.new_group([dist.get_rank()], use_local_synchronization=True)
    return group


class _Gate(nn.Module):
    """Gives MOELayer the routing that was made already."""

    def __init__(self, routing: Routing, tokens: int, rows: int) -> None:
        super().__init__()
        self.routing, self.tokens, self.rows = routing, tokens, rows

    def forward(self, x_TD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        routing = self.routing
        shape = (self.tokens, len(routing.rows_per_expert_E), self.rows)
        place = (routing.token_A, routing.expert_A, routing.slot_A)
        weight_A = routing.weight_A.to(x_TD.dtype)
        combine_TEC = x_TD.new_zeros(shape).index_put(place, weight_A)
        mask_TEC = torch.zeros(shape, dtype=torch.bool, device=x_TD.device)
        mask_TEC[place] = True
        return routing.balance_loss, combine_TEC, mask_TEC


class _Expert(nn.Module):
    """One expert, a view of the stacked weights."""

    def __init__(self, wi: Tensor, wg: Tensor | None, wo: Tensor, dropout: float) -> None:
        super().__init__()
        self.tensors, self.dropout = (wi, wg, wo), dropout

    def forward(self, x: Tensor) -> Tensor:
        wi, wg, wo = self.tensors
        h = activation(x @ wi, None if wg is None else x @ wg)
        return nn.functional.dropout(h, self.dropout, training=self.dropout > 0) @ wo


def _slices(experts: Experts) -> list[nn.Module]:
    wi, wg, wo = experts.weights()
    dropout = experts.dropout if experts.training else 0.0
    gates = [None] * len(wi) if wg is None else wg.unbind(0)
    return [
        _Expert(*parts, dropout) for parts in zip(wi.unbind(0), gates, wo.unbind(0), strict=True)
    ]
