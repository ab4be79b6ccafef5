"""Which routers there are, without importing torch: what a configuration is checked against."""

from __future__ import annotations

from models.config import MoEConfig
from models.errors import ConfigError

ROUTER_CHOICES: dict[str, tuple[int, ...]] = {"switch": (1,)}
"""Router -> the numbers of experts a token it can serve."""


def check_router(config: MoEConfig) -> None:
    """Raises ConfigError for a router that is not there, or cannot serve `k`."""
    if config.router not in ROUTER_CHOICES:
        raise ConfigError(
            f"moe.router is {config.router!r}: this version trains with "
            f"{', '.join(ROUTER_CHOICES)} only (`flanmoe models` knows the others' costs)"
        )
    if config.k not in ROUTER_CHOICES[config.router]:
        raise ConfigError(
            f"moe.k is {config.k}: the {config.router} router sends a token to "
            f"{' or '.join(map(str, ROUTER_CHOICES[config.router]))} expert(s)"
        )
