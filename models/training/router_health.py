"""Router health: expert load, drops and entropy of each MoE layer, with warnings during a run.

Shape suffixes: E experts, X the sums of a layer: E token counts, then dropped and requested
assignments, summed entropy, number of forward passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.architecture.moe.capacity import min_drop_share
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.training.distributed import DistributedContext

_DROPPED, _REQUESTED, _ENTROPY, _PASSES = -4, -3, -2, -1
MAX_DROP_SHARE = 0.15
"""Beyond what a balanced router drops. Dropping up to 10 to 15 % of the tokens did no harm in
ST-MoE (arXiv 2202.08906)."""
MIN_RELATIVE_ENTROPY = 0.02
"""As a fraction of ln E; below it the router is near-deterministic for every token."""


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """Router statistics of one MoE layer."""

    load: list[float]
    """Share of the assignments, before dropping, that each expert received; sums to 1."""
    drop_share: float
    """Share of the assignments that were dropped."""
    balanced_drop_share: float
    """Share that the capacity would drop if all experts had the same load."""
    entropy: float
    """Mean entropy of the router's distribution, in nats."""
    dead_experts: int
    """Experts that received no token."""


@dataclass
class RouterHealth:
    """Running sums of router statistics on this rank; part of every checkpoint."""

    sums_X: dict[str, Tensor] = field(default_factory=dict)
    """Sums of each MoE layer, by its name, float64 [X]."""

    def update(self, model: T5) -> None:
        """Add the statistics of the model's last forward pass."""
        for name, layer in model.moe_layers().items():
            if layer.routing is None:
                continue
            load = layer.routing.load
            counts_E = load.requested_per_expert_E
            scalars = (load.num_dropped, load.num_requested, load.entropy)
            tail = torch.stack([value.to(counts_E.device) for value in scalars])
            row_X = torch.cat([counts_E.double(), tail.double(), tail.new_ones(1)])
            self.sums_X[name] = self.sums_X.get(name, torch.zeros_like(row_X)) + row_X

    def all_reduce(self, dist: DistributedContext) -> RouterHealth:
        """Return the sums over all ranks."""
        if not self.sums_X:
            return RouterHealth()
        sums = dist.all_reduce_sum(torch.stack(list(self.sums_X.values())))
        return RouterHealth(dict(zip(self.sums_X, sums, strict=True)))

    def since(self, earlier: RouterHealth) -> RouterHealth:
        """Return the sums of the forward passes after `earlier`."""
        return RouterHealth(
            {n: s - earlier.sums_X.get(n, torch.zeros_like(s)) for n, s in self.sums_X.items()}
        )

    def summary(self, config: ModelConfig) -> dict[str, LayerHealth]:
        """Return the statistics of each MoE layer, by its name.

        Args:
            config: the model's configuration, whose capacity drops a share of the assignments even
                if all experts have the same load.
        """
        layers = {}
        # Sorted, as a checkpoint is: a resumed run lists the layers in the same order.
        for name, sums_X in sorted(self.sums_X.items()):
            tokens_E = sums_X[:_DROPPED]
            moe = config.stack_moe_config(decoder=name.startswith("decoder."))
            layers[name] = LayerHealth(
                load=_load_shares(tokens_E),
                balanced_drop_share=round(min_drop_share(moe), 5),
                drop_share=round(float(sums_X[_DROPPED] / sums_X[_REQUESTED].clamp(min=1)), 5),
                entropy=round(float(sums_X[_ENTROPY] / sums_X[_PASSES].clamp(min=1)), 4),
                dead_experts=int((tokens_E == 0).sum()),
            )
        return layers

    def max_expert_load(self) -> float | None:
        """Return the highest load of an expert in any layer, as a multiple of the mean load."""
        shares = [_load_shares(sums_X[:_DROPPED]) for sums_X in self.sums_X.values()]
        loads = [max(layer) * len(layer) for layer in shares]
        return round(max(loads), 2) if loads else None

    def warnings(self, config: ModelConfig) -> dict[str, str]:
        """Return one-line warnings with a remedy, by layer and kind of problem.

        Args:
            config: the model's configuration.
        """
        warnings = {}
        for name, layer in self.summary(config).items():
            num_experts = len(layer.load)
            if layer.dead_experts:
                warnings[f"{name} dead"] = (
                    f"{name}: {layer.dead_experts} of {num_experts} experts receive no token; "
                    "raise the preset's load_balance_loss_weight or jitter"
                )
            if layer.drop_share > MAX_DROP_SHARE + layer.balanced_drop_share:
                warnings[f"{name} drops"] = (
                    f"{name}: {layer.drop_share:.0%} of the assignments are dropped; raise the "
                    "preset's load_balance_loss_weight or capacity_factor_train"
                )
            if layer.entropy < MIN_RELATIVE_ENTROPY * math.log(num_experts):
                warnings[f"{name} entropy"] = (
                    f"{name}: the router's entropy is {layer.entropy:.3f} of at most "
                    f"{math.log(num_experts):.2f} nats; lower models.training.optim.lr, or raise "
                    "the preset's z_loss_weight or jitter"
                )
        return warnings

    def to_dict(self) -> dict[str, list[float]]:
        """Return the sums as lists, for the JSON of a checkpoint."""
        return {name: sums_X.tolist() for name, sums_X in self.sums_X.items()}

    @classmethod
    def from_dict(cls, data: dict[str, list[float]], device: torch.device) -> RouterHealth:
        return cls(
            {n: torch.tensor(s, dtype=torch.float64, device=device) for n, s in data.items()}
        )


def _load_shares(tokens_E: Tensor) -> list[float]:
    """Return each expert's share of the assignments."""
    total = max(float(tokens_E.sum()), 1.0)
    return [round(n / total, 4) for n in tokens_E.tolist()]
