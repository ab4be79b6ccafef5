"""Router classes by name.

To add a router, write a module in this folder, and add its class to `ROUTERS`, its name to
`RouterName` in `models/choices.py` and its values of top_k to `SUPPORTED_TOP_K` in `checks.py`.
"""

from __future__ import annotations

from models.architecture.moe.routers.expert_choice import ExpertChoiceRouter
from models.architecture.moe.routers.gshard import GShardRouter
from models.architecture.moe.routers.st_moe import STMoERouter
from models.architecture.moe.routers.switch import SwitchRouter
from models.choices import RouterName
from models.config import MoEConfig

Router = SwitchRouter | GShardRouter | STMoERouter | ExpertChoiceRouter

ROUTERS: dict[RouterName, type[Router]] = {
    "switch": SwitchRouter,
    "gshard": GShardRouter,
    "st_moe": STMoERouter,
    "expert_choice": ExpertChoiceRouter,
}


def build_router(d_model: int, config: MoEConfig) -> Router:
    """Build the router of one stack.

    Args:
        d_model: width of a token's hidden state.
        config: MoE configuration of the stack (`ModelConfig.stack_moe_config`), validated by
            `check_routers`.
    """
    return ROUTERS[config.router](d_model, config)
