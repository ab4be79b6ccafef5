"""Order of models by inference cost, in which costs that hardly differ count as equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

AnyModel = TypeVar("AnyModel")


def order_by_cost(
    models: Iterable[AnyModel], cost: Callable[[AnyModel], tuple[float, int]], min_saving: float
) -> list[AnyModel]:
    """Order models from the cheapest to the dearest.

    The FLOPs per item of two models of the same size differ a little with the lengths of their
    answers. So of all models whose FLOPs exceed the lowest by less than the smallest saving that
    counts, the model with the fewest parameters is the cheapest; the rest follows in the same way.

    Args:
        models: the models; equal costs keep their order.
        cost: FLOPs per item and parameters of a model.
        min_saving: smallest share of FLOPs that a cheaper model saves.
    """
    remaining, ordered = list(models), []
    while remaining:
        lowest = min(cost(model)[0] for model in remaining)
        equals = [model for model in remaining if lowest > (1 - min_saving) * cost(model)[0]]
        equals = equals or [model for model in remaining if cost(model)[0] == lowest]
        cheapest = min(equals, key=lambda model: (cost(model)[1], cost(model)[0]))
        remaining.remove(cheapest)
        ordered.append(cheapest)
    return ordered
