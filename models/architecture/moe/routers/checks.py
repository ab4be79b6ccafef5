"""Which routers there are, without importing torch: what a configuration is checked against."""

from __future__ import annotations

import difflib

from models.config import ModelConfig
from models.errors import ConfigError

ROUTER_CHOICES: dict[str, tuple[int, ...] | None] = {
    "switch": (1,),
    "gshard": (2,),
    "st_moe": (2,),
    "expert_choice": None,
}
"""Router -> the numbers of experts a token it can serve; None: any."""

LOOKS_AHEAD = ("expert_choice",)
"""Routers whose choice for a token depends on tokens after it: not for a decoder."""


def check_routers(config: ModelConfig) -> None:
    """Raises ConfigError for a router that is not there, cannot serve `k`, or cannot decode."""
    if config.moe is None:
        return
    for decoder in (False, True):
        moe = config.moe_of(decoder=decoder)
        prefix = "moe.decoder_" if decoder else "moe."
        if moe.router not in ROUTER_CHOICES:
            near = difflib.get_close_matches(moe.router, ROUTER_CHOICES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"{prefix}router is {moe.router!r}: {hint}Known: {', '.join(ROUTER_CHOICES)}"
            )
        choices = ROUTER_CHOICES[moe.router]
        if choices is not None and moe.top_k not in choices:
            raise ConfigError(
                f"{prefix}top_k is {moe.top_k}: the {moe.router} router sends a token to "
                f"{' or '.join(map(str, choices))} expert(s)"
            )
        if decoder and moe.router in LOOKS_AHEAD:
            raise ConfigError(
                f"moe.router is {moe.router!r}, in which experts choose among all tokens: in a "
                "decoder that would look at tokens not yet written; set moe.decoder_router to "
                f"{' or '.join(name for name in ROUTER_CHOICES if name not in LOOKS_AHEAD)}"
            )
