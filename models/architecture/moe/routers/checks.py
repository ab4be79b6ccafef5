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


TOP_2_ROUTERS = ("gshard", "st_moe")
"""Routers with `normalize_gates` and `second_expert_threshold`."""


def check_routers(config: ModelConfig) -> None:
    """Check the router of both stacks and the options that belong to it.

    Raises:
        ConfigError: the router does not support top_k, is not causal and in the decoder, or an
            option has no effect with the routers of this model.
    """
    if config.moe is None:
        return
    _check_options(config)
    for decoder in (False, True):
        moe = config.stack_moe_config(decoder=decoder)
        prefix = "moe.decoder_" if decoder else "moe."
        if moe.router == "expert_choice" and moe.capacity_per == "token" and moe.top_k != 1:
            raise ConfigError(
                f"{prefix}top_k is {moe.top_k}: with expert_choice and capacity_per token the "
                "capacity factors are the mean number of experts per token; set top_k to 1"
            )
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


def _check_options(config: ModelConfig) -> None:
    assert config.moe is not None
    moe = config.moe
    routers = {config.stack_moe_config(decoder=decoder).router for decoder in (False, True)}
    if routers.isdisjoint(TOP_2_ROUTERS):
        for name in ("normalize_gates", "second_expert_threshold"):
            if getattr(moe, name) is not None:
                raise ConfigError(
                    f"moe.{name} is {getattr(moe, name)}: only the routers "
                    f"{' and '.join(TOP_2_ROUTERS)} have this option; set it to null"
                )
        if moe.load_balance_loss_choices == "all":
            raise ConfigError(
                "moe.load_balance_loss_choices is 'all': every token has a single choice; set "
                "it to first"
            )
