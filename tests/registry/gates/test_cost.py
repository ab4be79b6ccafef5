"""Gates of inference cost, at and beyond their limits."""

import pytest

from registry.gates.cost import check_cost
from registry.policy import BudgetRules
from tests.registry.gates.factories import evidence


@pytest.mark.parametrize(
    ("rules", "passed"),
    [
        (BudgetRules(), (True, True)),
        (BudgetRules(flops_per_token=1e6, flops_per_item=5e7), (True, True)),
        (BudgetRules(flops_per_token=999_999), (False, True)),
        (BudgetRules(flops_per_item=4.9e7), (True, False)),
    ],
)
def test_cost_is_limited_by_the_budgets(rules, passed):
    """The candidate has 1e6 FLOPs per token and 5e7 per item."""
    per_token, per_item = check_cost(evidence(), rules)
    assert (per_token.passed, per_item.passed) == passed
    assert (per_token.value, per_item.value) == (1e6, 5e7)
    assert (per_token.limit, per_item.limit) == (rules.flops_per_token, rules.flops_per_item)


def test_detail_names_the_budget():
    gate = check_cost(evidence(), BudgetRules(flops_per_token=5e5))[0]
    assert gate.detail == "1e+06 FLOPs, at most 5e+05 (budgets.flops_per_token)"
