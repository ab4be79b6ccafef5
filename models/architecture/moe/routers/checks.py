"""Properties of the routers against which a configuration is checked. Imports no torch."""

from __future__ import annotations

from models.choices import RouterName
from models.config import ModelConfig
from models.errors import ConfigError

SUPPORTED_TOP_K: dict[RouterName, tuple[int, ...] | None] = {
    "switch": (1,),
    "gshard": (2,),
    "st_moe": (2,),
    "expert_choice": None,
}
"""Router -> supported values of top_k; None: any."""

NON_CAUSAL_ROUTERS = ("expert_choice",)
"""Routers whose choice for a token depends on later tokens; a decoder cannot use them."""


def check_routers(config: ModelConfig) -> None:
    """Check the router and top_k of both stacks.

    Raises:
        ConfigError: the router does not support top_k, or is not causal and in the decoder.
    """
    if config.moe is None:
        return
    for decoder in (False, True):
        moe = config.stack_moe_config(decoder=decoder)
        prefix = "moe.decoder_" if decoder else "moe."
        supported = SUPPORTED_TOP_K[moe.router]
        if supported is not None and moe.top_k not in supported:
            raise ConfigError(
                f"{prefix}top_k is {moe.top_k}: router {moe.router} supports "
                f"{' or '.join(map(str, supported))}"
            )
        if decoder and moe.router in NON_CAUSAL_ROUTERS:
            causal = [name for name in SUPPORTED_TOP_K if name not in NON_CAUSAL_ROUTERS]
            key = "decoder_router" if config.moe.decoder_router else "router"
            raise ConfigError(
                f"moe.{key} is {moe.router!r}, which is not causal and cannot be used in a "
                f"decoder; set moe.decoder_router to {' or '.join(causal)}"
            )
