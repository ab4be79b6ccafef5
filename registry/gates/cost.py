"""Gates of inference cost: FLOPs per token and per item within the budgets."""

from __future__ import annotations

from registry.gates.evidence import Evidence
from registry.gates.result import GateResult
from registry.policy import BudgetRules


def check_cost(candidate: Evidence, rules: BudgetRules) -> list[GateResult]:
    """Check the cost of a version against the policy's budgets."""
    return [
        _check_budget("flops_per_token", candidate.run.flops_per_token, rules.flops_per_token),
        _check_budget("flops_per_item", candidate.evaluation.flops_per_item, rules.flops_per_item),
    ]


def _check_budget(name: str, flops: float, budget: float | None) -> GateResult:
    return GateResult(
        name=name,
        passed=budget is None or flops <= budget,
        detail=f"{flops:.4g} FLOPs, "
        + ("no budget" if budget is None else f"at most {budget:.4g} (budgets.{name})"),
        value=flops,
        limit=budget,
    )
