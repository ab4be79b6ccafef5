"""Costs of two compared models."""

from __future__ import annotations

from dataclasses import dataclass

from registry.comparison.results import EvaluationResult


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


def compare_costs(a: EvaluationResult, b: EvaluationResult) -> dict[str, CostComparison]:
    """Compare the FLOPs per token, per item, and of the training of each complete chain."""
    return {
        "per_token": CostComparison(a=a.run.flops_per_token, b=b.run.flops_per_token),
        "per_item": CostComparison(a=a.evaluation.flops_per_item, b=b.evaluation.flops_per_item),
        "training": CostComparison(
            a=a.run.cumulative_training_flops, b=b.run.cumulative_training_flops
        ),
    }
