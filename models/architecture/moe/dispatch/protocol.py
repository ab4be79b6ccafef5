"""Interface of the dispatch backends."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class Dispatcher(Protocol):
    """Sends tokens to their experts and combines the outputs."""

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        """Compute y_t = sum over the assignments of token t of weight * expert(x_t).

        With expert parallelism all ranks call this, each with its own tokens.

        Args:
            x_TD: tokens, float `[T, D]`.
            routing: assignments of these tokens.
            experts: the layer's experts, possibly sharded.

        Returns:
            `[T, D]`; 0 for tokens without assignments.
        """
