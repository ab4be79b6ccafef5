"""Which dense model costs the same per token as this MoE: the base of every fair comparison."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from models.config import ModelConfig
from models.cost import flops
from models.presets import PRESETS

D_FF_STEP = 64
"""Widths of matched models are multiples of this, as matrix products like them."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A dense model and its compute relative to the MoE's."""

    name: str
    config: ModelConfig
    flops_per_token: float
    ratio: float
    """FLOPs per token of the dense model / of the MoE."""


def matches(name: str, config: ModelConfig) -> list[Match]:
    """Dense partners of a configuration, each with its ratio.

    The dense twin (same sizes, one expert's feed-forward), the same with d_ff as wide as makes
    FLOPs per token equal, and the nearest dense preset of the same vocabulary.
    """
    twin = config.dense_twin()
    found = [_match(f"{name} without experts", twin, config)]
    wide = _widened(config)
    if wide.d_ff != twin.d_ff:
        found.append(_match(f"{name} without experts, d_ff {wide.d_ff}", wide, config))
    presets = [
        _match(other, dense, config)
        for other, dense in PRESETS.items()
        if dense.moe is None and dense.vocab_size == config.vocab_size
    ]
    presets.sort(key=lambda match: max(match.ratio, 1 / match.ratio))
    return found + presets[:1]


def _widened(config: ModelConfig) -> ModelConfig:
    """The dense model of the same FLOPs per token: they grow linearly with d_ff."""
    twin = config.dense_twin()
    unit = dataclasses.replace(twin, d_ff=twin.d_ff + D_FF_STEP)
    base, slope = flops.per_token(twin), flops.per_token(unit) - flops.per_token(twin)
    steps = round((flops.per_token(config) - base) / slope)
    return dataclasses.replace(twin, d_ff=twin.d_ff + D_FF_STEP * steps)


def _match(name: str, dense: ModelConfig, moe: ModelConfig) -> Match:
    cost = flops.per_token(dense)
    return Match(name=name, config=dense, flops_per_token=cost, ratio=cost / flops.per_token(moe))
