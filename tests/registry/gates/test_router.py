"""Gates of router health, at and beyond their limits."""

import math

import pytest

from registry.gates.router import check_router
from registry.policy import DataRules, RouterRules
from tests.registry.gates.factories import HEALTHY_LAYER, evidence

MOE = {"model": {"moe": {"num_experts": 4}}}
RULES = RouterRules(max_drop_share=0.2, max_dead_experts=1, min_relative_entropy=0.5)


def results(layer, data_rules=None):
    """Return the results for a model with a healthy layer and one with the changes."""
    health = {"encoder.1": HEALTHY_LAYER, "decoder.1": {**HEALTHY_LAYER, **layer}}
    candidate = evidence(run={**MOE, "router_health": health})
    return {gate.name: gate for gate in check_router(candidate, RULES, data_rules or DataRules())}


@pytest.mark.parametrize(
    ("layer", "gate", "passed", "value"),
    [
        ({"drop_share": 0.2}, "router_drop_share", True, 0.2),
        ({"drop_share": 0.2001}, "router_drop_share", False, 0.2001),
        ({"drop_share": 0.575, "balanced_drop_share": 0.375}, "router_drop_share", True, 0.2),
        ({"drop_share": 0.59, "balanced_drop_share": 0.375}, "router_drop_share", False, 0.215),
        ({"dead_experts": 1}, "router_dead_experts", True, 1),
        ({"dead_experts": 2}, "router_dead_experts", False, 2),
        ({"entropy": 0.5 * math.log(4) + 1e-9}, "router_entropy", True, 0.5),
        ({"entropy": 0.69}, "router_entropy", False, 0.69 / math.log(4)),
    ],
)
def test_worst_layer_decides(layer, gate, passed, value):
    gates = results(layer)
    assert gates[gate].passed is passed
    assert gates[gate].value == pytest.approx(value)
    assert "decoder.1" in gates[gate].detail
    assert all(other.passed for name, other in gates.items() if name != gate)


def test_single_expert_has_full_entropy():
    gates = results({"load": [1.0], "entropy": 0.0})
    assert gates["router_entropy"].passed


def test_dense_model_has_no_router():
    gates = check_router(evidence(), RULES, DataRules())
    assert [gate.passed for gate in gates] == [True] * 3
    assert {gate.detail for gate in gates} == {"dense: no router"}


def test_unrecorded_health_passes_only_if_the_policy_says_so():
    candidate = evidence(run=MOE)
    assert not any(gate.passed for gate in check_router(candidate, RULES, DataRules()))
    lenient = check_router(candidate, RULES, DataRules(allow_unrecorded=True))
    assert all(gate.passed for gate in lenient)
