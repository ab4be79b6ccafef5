"""Available dispatch backends and the routers and precisions each supports. Imports no torch."""

from __future__ import annotations

from importlib.util import find_spec
from typing import get_args

from models.choices import DispatchBackend, invalid_choice
from models.config import ModelConfig
from models.errors import ConfigError


def check_dispatch(name: str, config: ModelConfig, *, precision: str = "float32") -> None:
    """Check that a dispatch backend is available and supports a model.

    Args:
        name: dispatch backend.
        config: model whose router the backend has to support.
        precision: float32 or bfloat16.

    Raises:
        ConfigError: the backend is unknown, not installed, or does not support the router or the
            precision.
    """
    if name not in get_args(DispatchBackend):
        raise ConfigError(invalid_choice(name, get_args(DispatchBackend)))
    if name == "tutel" and find_spec("tutel") is None:
        raise ConfigError(
            "'tutel' is not installed; follow https://github.com/microsoft/Tutel, or use native"
        )
    if config.moe is None:
        return
    if name == "tutel" and config.moe.router == "expert_choice":
        raise ConfigError(
            "'tutel' does not support router expert_choice, which sends tokens to a variable "
            "number of experts; use native or fairscale"
        )
    if name == "fairscale" and precision != "float32":
        raise ConfigError(
            f"'fairscale' does not support precision {precision}; use native, or float32"
        )


def check_expert_parallel(world_size: int, config: ModelConfig) -> None:
    """Check that experts can be sharded evenly.

    Args:
        world_size: ranks that share the experts.
        config: model to be sharded.

    Raises:
        ConfigError: num_experts is not a multiple of `world_size`.
    """
    if config.moe is not None and config.moe.num_experts % world_size:
        raise ConfigError(
            f"{config.moe.num_experts} experts cannot be sharded evenly over {world_size} ranks"
        )
