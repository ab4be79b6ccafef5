"""Which dispatch backends there are, and whom they serve: checked before any work."""

from __future__ import annotations

import difflib
from importlib.util import find_spec

from models.config import ModelConfig
from models.errors import ConfigError

DISPATCHES = ("native", "tutel", "fairscale")


def check_dispatch(name: str, config: ModelConfig, *, precision: str = "float32") -> None:
    """Raises ConfigError for a backend that is not there, or cannot serve this model."""
    if name not in DISPATCHES:
        near = difflib.get_close_matches(name, DISPATCHES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"dispatch is {name!r}: {hint}Known: {', '.join(DISPATCHES)}")
    if name == "tutel" and find_spec("tutel") is None:
        raise ConfigError(
            "dispatch is 'tutel', which is not installed: follow "
            "https://github.com/microsoft/Tutel, or use native"
        )
    if config.moe is None:
        return
    if name == "tutel" and config.moe.router == "expert_choice":
        raise ConfigError(
            "dispatch is 'tutel', which sends each token to a fixed number of experts; "
            "expert_choice does not: use native or fairscale"
        )
    if name == "fairscale" and precision != "float32":
        raise ConfigError(
            f"dispatch is 'fairscale', which multiplies in float32 only, and precision is "
            f"{precision}: use native, or float32"
        )


def check_expert_parallel(processes: int, config: ModelConfig) -> None:
    """Raises ConfigError where `processes` cannot share the experts evenly."""
    if config.moe is not None and config.moe.num_experts % processes:
        raise ConfigError(
            f"{config.moe.num_experts} experts cannot be spread evenly over {processes} processes"
        )
