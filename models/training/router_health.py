"""Router health: how evenly each MoE layer used its experts, and warnings while one can act.

Shape suffixes: E experts, X the columns of a layer's sums: E loads, then dropped, assigned, the
summed entropy and the number of forward passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.architecture.t5 import T5
from models.training.distributed import Group

DROPPED, ASSIGNED, ENTROPY, PASSES = -4, -3, -2, -1
DROP_SHARE = 0.15
"""Dropping up to 10 to 15 % of the tokens did no harm in ST-MoE (arXiv 2202.08906)."""
LOW_ENTROPY = 0.02
"""As a part of ln E: below it a router hardly ever weighs one expert against another."""


@dataclass
class RouterHealth:
    """Adds up the load of each MoE layer over the steps it sees, of this process."""

    sums_X: dict[str, Tensor] = field(default_factory=dict)

    def update(self, model: T5) -> None:
        """Take in what the routers did in the last forward pass."""
        for name, layer in model.moe_layers().items():
            if layer.routing is None:
                continue
            load = layer.routing.load
            rest = (load.dropped, load.assigned, load.entropy)
            tail = torch.stack([value.to(load.tokens_per_expert_E.device) for value in rest])
            row_X = torch.cat([load.tokens_per_expert_E.double(), tail.double(), tail.new_ones(1)])
            self.sums_X[name] = self.sums_X.get(name, torch.zeros_like(row_X)) + row_X

    def total(self, group: Group) -> RouterHealth:
        """The sums over all processes."""
        if not self.sums_X:
            return RouterHealth()
        sums = group.sum(torch.stack(list(self.sums_X.values())))
        return RouterHealth(dict(zip(self.sums_X, sums, strict=True)))

    def since(self, earlier: RouterHealth) -> RouterHealth:
        """What came after `earlier`."""
        return RouterHealth(
            {n: s - earlier.sums_X.get(n, torch.zeros_like(s)) for n, s in self.sums_X.items()}
        )

    def summary(self) -> dict[str, dict[str, Any]]:
        """Layer -> load (share of tokens each expert got), drop share, entropy, dead experts."""
        result = {}
        for name, sums_X in self.sums_X.items():
            tokens_E = sums_X[:DROPPED]
            total = max(float(tokens_E.sum()), 1.0)
            result[name] = {
                "load": [round(n / total, 4) for n in tokens_E.tolist()],
                "drop_share": round(float(sums_X[DROPPED] / sums_X[ASSIGNED].clamp(min=1)), 5),
                "entropy": round(float(sums_X[ENTROPY] / sums_X[PASSES].clamp(min=1)), 4),
                "dead_experts": int((tokens_E == 0).sum()),
            }
        return result

    def largest_load(self) -> float | None:
        """Load of the busiest expert of any layer, as a multiple of an even share."""
        loads = [max(layer["load"]) * len(layer["load"]) for layer in self.summary().values()]
        return round(max(loads), 2) if loads else None

    def warnings(self) -> dict[str, str]:
        """Layer and kind of trouble -> a line that says what is wrong and what to change."""
        found = {}
        for name, layer in self.summary().items():
            experts = len(layer["load"])
            if layer["dead_experts"]:
                found[f"{name} dead"] = (
                    f"{name}: {layer['dead_experts']} of {experts} experts get no token; raise the "
                    "preset's load_balance_loss_weight or jitter"
                )
            if layer["drop_share"] > DROP_SHARE:
                found[f"{name} drops"] = (
                    f"{name}: {layer['drop_share']:.0%} of the assignments are dropped; raise the "
                    "preset's load_balance_loss_weight or capacity_factor_train"
                )
            if layer["entropy"] < LOW_ENTROPY * math.log(experts):
                found[f"{name} entropy"] = (
                    f"{name}: the router's entropy has fallen to {layer['entropy']:.3f} of "
                    f"{math.log(experts):.2f} nats; lower models.training.optim.lr, or raise the "
                    "preset's z_loss_weight or jitter"
                )
        return found

    def to_dict(self) -> dict[str, list[float]]:
        """For a checkpoint."""
        return {name: sums_X.tolist() for name, sums_X in self.sums_X.items()}

    @classmethod
    def from_dict(cls, data: dict[str, list[float]], device: torch.device) -> RouterHealth:
        return cls(
            {n: torch.tensor(s, dtype=torch.float64, device=device) for n, s in data.items()}
        )
