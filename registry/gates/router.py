"""Gates of router health: dropped assignments, dead experts and entropy of the worst MoE layer."""

from __future__ import annotations

import math
from collections.abc import Callable

from registry.gates.data import unrecorded
from registry.gates.evidence import Evidence
from registry.gates.result import GateResult
from registry.policy import DataRules, RouterRules
from registry.schemas import LayerHealthSchema

NAMES = ("router_drop_share", "router_dead_experts", "router_entropy")


def check_router(
    candidate: Evidence, rules: RouterRules, data_rules: DataRules
) -> list[GateResult]:
    """Check every MoE layer; a dense version has none and passes.

    Args:
        candidate: the version to promote.
        rules: the policy's section `router`.
        data_rules: the policy's section `data`, which says whether unrecorded health passes.
    """
    run = candidate.run
    if not run.is_moe:
        return [GateResult(name=name, passed=True, detail="dense: no router") for name in NAMES]
    if not run.router_health:
        reason = "the run record has no router health, such as that of an imported model"
        return [unrecorded(name, reason, data_rules) for name in NAMES]
    layer, drop_share = _worst(run.router_health, _excess_drop_share)
    dead_layer, num_dead = _worst(run.router_health, lambda health: health.dead_experts)
    entropy_layer, loss = _worst(run.router_health, lambda health: -_relative_entropy(health))
    balanced = run.router_health[layer].balanced_drop_share
    return [
        GateResult(
            name=NAMES[0],
            passed=drop_share <= rules.max_drop_share,
            detail=f"{drop_share:.1%} of the assignments were dropped in {layer} beyond the "
            f"{balanced:.1%} of balanced experts, maximum {rules.max_drop_share:.1%}",
            value=drop_share,
            limit=rules.max_drop_share,
        ),
        GateResult(
            name=NAMES[1],
            passed=num_dead <= rules.max_dead_experts,
            detail=f"{num_dead:.0f} experts of {dead_layer} received no token, maximum "
            f"{rules.max_dead_experts}",
            value=num_dead,
            limit=rules.max_dead_experts,
        ),
        GateResult(
            name=NAMES[2],
            passed=-loss >= rules.min_relative_entropy,
            detail=f"entropy {-loss:.3f} of ln(num_experts) in {entropy_layer}, minimum "
            f"{rules.min_relative_entropy:g}",
            value=-loss,
            limit=rules.min_relative_entropy,
        ),
    ]


def _excess_drop_share(health: LayerHealthSchema) -> float:
    """Return the dropped share beyond what a router with balanced experts drops by its capacity."""
    return max(0.0, health.drop_share - health.balanced_drop_share)


def _relative_entropy(health: LayerHealthSchema) -> float:
    """Return the mean entropy as a share of ln(num_experts); 1 for a single expert."""
    num_experts = len(health.load)
    return health.entropy / math.log(num_experts) if num_experts > 1 else 1.0


def _worst(
    layers: dict[str, LayerHealthSchema], measure: Callable[[LayerHealthSchema], float]
) -> tuple[str, float]:
    """Return the layer with the largest value, and the value."""
    name = max(layers, key=lambda layer: measure(layers[layer]))
    return name, measure(layers[name])
