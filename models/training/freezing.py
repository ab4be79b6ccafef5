"""Freezing of routers, experts or MoE layers (FLAN-MoE, arXiv 2305.14705, ablations)."""

from __future__ import annotations

from models.architecture.t5 import T5
from models.errors import ConfigError
from models.training.params import FreezePolicy

_NAME_PARTS = {"gate": ".router.", "experts": ".experts."}


def freeze(model: T5, policy: FreezePolicy | None) -> list[str]:
    """Exclude parameters from training by setting `requires_grad` to False.

    Args:
        model: model to change in place.
        policy: `gate`, `experts`, `moe` (routers and experts, without ST-MoE's dense layer after
            them), `all_but_` one of these, or None for nothing.

    Returns:
        Names of the frozen parameters.

    Raises:
        ConfigError: the model has no MoE layer.
    """
    if policy is None:
        return []
    layers = tuple(f"{name}." for name in model.moe_layers())
    if not layers:
        raise ConfigError(f"freeze is {policy!r}, but the model has no MoE layer; set it to null")
    part = policy.removeprefix("all_but_")
    frozen = []
    for name, weight in model.named_parameters():
        is_selected = name.startswith(layers) and (part == "moe" or _NAME_PARTS[part] in name)
        if is_selected != policy.startswith("all_but_"):
            weight.requires_grad_(False)
            frozen.append(name)
    return frozen
