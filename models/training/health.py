"""Router health: how evenly each MoE layer used its experts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.architecture.t5 import T5


@dataclass
class RouterHealth:
    """Adds up the load of each MoE layer over the steps it sees."""

    tokens_E: dict[str, Tensor] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    entropy: dict[str, float] = field(default_factory=dict)
    steps: int = 0

    def update(self, model: T5) -> None:
        """Take in what the routers did in the last forward pass."""
        self.steps += 1
        for name, layer in model.moe_layers().items():
            if layer.routing is None:
                continue
            load = layer.routing.load
            seen = self.tokens_E.get(name, torch.zeros_like(load.tokens_per_expert_E))
            self.tokens_E[name] = seen + load.tokens_per_expert_E
            self.dropped[name] = self.dropped.get(name, 0) + int(load.dropped)
            self.assigned[name] = self.assigned.get(name, 0) + int(load.assigned)
            self.entropy[name] = self.entropy.get(name, 0.0) + float(load.entropy)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Layer -> load (share of tokens each expert got), drop share, entropy, dead experts."""
        result = {}
        for name, tokens_E in self.tokens_E.items():
            total = max(int(tokens_E.sum()), 1)
            result[name] = {
                "load": [round(n / total, 4) for n in tokens_E.tolist()],
                "drop_share": round(self.dropped[name] / max(self.assigned[name], 1), 5),
                "entropy": round(self.entropy[name] / max(self.steps, 1), 4),
                "dead_experts": int((tokens_E == 0).sum()),
            }
        return result
