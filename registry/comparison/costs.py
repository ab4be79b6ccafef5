"""Costs of two compared models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry.comparison.results import EvaluationResult, Evaluations


@dataclass(frozen=True, kw_only=True)
class CostComparison:
    """Compute of both models, in FLOPs; None if it is unknown."""

    a: float | None
    b: float | None

    @property
    def ratio(self) -> float | None:
        """A's cost relative to B's; None if B's is 0, or one is unknown."""
        return self.a / self.b if self.a is not None and self.b else None

    def to_dict(self) -> dict[str, float | None]:
        """Return the costs as JSON values."""
        return {"a": self.a, "b": self.b, "ratio": self.ratio}


def compare_costs(a: Evaluations, b: Evaluations) -> dict[str, CostComparison]:
    """Compare the FLOPs per token, per item, and of the training of each complete chain.

    Costs are averaged over the seeds of a model.
    """

    def compare(cost: Callable[[EvaluationResult], float | None]) -> CostComparison:
        return CostComparison(a=_mean_cost(a, cost), b=_mean_cost(b, cost))

    return {
        "per_token": compare(lambda result: result.run.flops_per_token),
        "per_item": compare(lambda result: result.evaluation.flops_per_item),
        "training": compare(lambda result: result.run.cumulative_training_flops),
    }


def _mean_cost(
    results: Evaluations, cost: Callable[[EvaluationResult], float | None]
) -> float | None:
    values = [cost(result) for result in results]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
