"""What every dispatch backend is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


class Dispatch(Protocol):
    """Brings tokens to experts and their outputs back."""

    def __call__(self, x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
        """y_t = sum over the assignments of t of weight * expert(x_t); 0 where there is none.

        With experts on several processes every process calls it, each with its own tokens.
        """
