"""The routers by name. Adding one: a file beside this one, a line here and in names.py."""

from __future__ import annotations

from models.architecture.moe.routers.names import check_router
from models.architecture.moe.routers.switch import SwitchRouter
from models.config import MoEConfig

ROUTERS: dict[str, type[SwitchRouter]] = {"switch": SwitchRouter}


def build_router(d_model: int, config: MoEConfig) -> SwitchRouter:
    """Raises ConfigError for a router that is not in the table, or cannot serve `k`."""
    check_router(config)
    return ROUTERS[config.router](d_model, config)
