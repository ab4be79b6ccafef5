"""The MoE layer: a router, experts and a dispatch between them, in place of a feed-forward."""

from __future__ import annotations

from torch import Tensor, nn

from models.architecture.feed_forward import FeedForward
from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.dispatch.protocol import Dispatch
from models.architecture.moe.experts import Experts
from models.architecture.moe.routers.table import build_router
from models.architecture.moe.routing import Routing
from models.config import ModelConfig


class MoELayer(nn.Module):
    """Sparse feed-forward layer. After a forward pass `routing` holds what the router did."""

    def __init__(self, config: ModelConfig, *, decoder: bool) -> None:
        super().__init__()
        moe = config.moe_of(decoder=decoder)
        self.router = build_router(config.d_model, moe)
        self.experts = Experts(config)
        self.dense = FeedForward(config) if moe.dense_residual else None
        self.dispatch: Dispatch = NativeDispatch()
        """Set by `models.architecture.moe.dispatch.table.use`."""
        self.routing: Routing | None = None

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Tensor:
        """`x_BLD`: batch x length x d_model; `valid_BL`: False where there is padding."""
        self.routing = self.router(x_BLD, valid_BL)
        y_BLD = self.dispatch(x_BLD.flatten(0, 1), self.routing, self.experts).view_as(x_BLD)
        if self.dense is not None:
            y_BLD = y_BLD + self.dense(x_BLD, valid_BL)
        return y_BLD
