"""The MoE layer, which replaces a feed-forward layer: router, experts and a dispatch backend.

Shape suffixes: B batch, L length, D d_model.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.dispatch.protocol import Dispatcher
from models.architecture.moe.experts import Experts
from models.architecture.moe.routers.table import build_router
from models.architecture.moe.routing import Routing
from models.config import ModelConfig


class MoELayer(nn.Module):
    """Sparse feed-forward layer. `routing` is that of the last forward pass."""

    def __init__(self, config: ModelConfig, *, decoder: bool) -> None:
        super().__init__()
        moe = config.stack_moe_config(decoder=decoder)
        self.router = build_router(config.d_model, moe)
        self.experts = Experts(config)
        self.dispatch: Dispatcher = NativeDispatch()
        """Dispatch backend; see `models.architecture.moe.dispatch.table.set_dispatcher`."""
        self.routing: Routing | None = None

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """Route tokens to experts and combine the outputs.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding.

        Returns:
            `[B, L, D]`; 0 for tokens without an expert.
        """
        self.routing = self.router(x_BLD, valid_BL)
        return self.dispatch(x_BLD.flatten(0, 1), self.routing, self.experts).view_as(x_BLD)
