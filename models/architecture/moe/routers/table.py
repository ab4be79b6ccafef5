"""The routers by name. Adding one: a file beside this one, a line here and in names.py."""

from __future__ import annotations

from models.architecture.moe.routers.expert_choice import ExpertChoiceRouter
from models.architecture.moe.routers.gshard import GShardRouter
from models.architecture.moe.routers.st_moe import STMoERouter
from models.architecture.moe.routers.switch import SwitchRouter
from models.config import MoEConfig

Router = SwitchRouter | GShardRouter | STMoERouter | ExpertChoiceRouter

ROUTERS: dict[str, type[Router]] = {
    "switch": SwitchRouter,
    "gshard": GShardRouter,
    "st_moe": STMoERouter,
    "expert_choice": ExpertChoiceRouter,
}


def build_router(d_model: int, config: MoEConfig) -> Router:
    """`config`: of one stack (`ModelConfig.moe_of`), already checked by `check_routers`."""
    return ROUTERS[config.router](d_model, config)
