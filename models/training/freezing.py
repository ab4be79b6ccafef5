"""Parts of a model that a run leaves as they are (FLAN-MoE, arXiv 2305.14705, ablations)."""

from __future__ import annotations

from models.architecture.t5 import T5
from models.errors import ConfigError
from models.training.params import FREEZE

_PARTS = {"gate": ".router.", "experts": ".experts."}


def freeze(model: T5, what: str | None) -> list[str]:
    """Names of the parameters that are no longer trained.

    `moe`: the whole MoE layer, the dense layer beside its experts included. Raises ConfigError for
    a model without experts.
    """
    if what is None:
        return []
    if what not in FREEZE:
        raise ConfigError(f"freeze is {what!r}: it must be one of {', '.join(FREEZE)}")
    layers = tuple(f"{name}." for name in model.moe_layers())
    if not layers:
        raise ConfigError(f"freeze is {what!r}, but the model has no MoE layer")
    part = what.removeprefix("all_but_")
    frozen = []
    for name, weight in model.named_parameters():
        inside = name.startswith(layers) and (part == "moe" or _PARTS[part] in name)
        if inside != what.startswith("all_but_"):
            weight.requires_grad_(False)
            frozen.append(name)
    return frozen
