"""Find dense models with the same FLOPs per token as an MoE model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from models.config import ModelConfig
from models.cost import flops
from models.presets import PRESETS

D_FF_STEP = 64
"""Step in which d_ff is widened: matrix products are fastest at dimensions divisible by 64."""


@dataclass(frozen=True, kw_only=True)
class DenseMatch:
    """A dense model and its compute relative to the MoE model's."""

    name: str
    config: ModelConfig
    flops_per_token: float
    ratio: float
    """FLOPs per token of the dense model / of the MoE model."""


def find_dense_matches(name: str, config: ModelConfig) -> list[DenseMatch]:
    """Return dense models to compare with an MoE model.

    Args:
        name: name of the MoE model.
        config: its configuration.

    Returns:
        The dense counterpart (the same sizes without experts); the same with d_ff widened to equal
        FLOPs per token, if that differs; the dense preset of the same vocabulary with the closest
        FLOPs per token, if there is one.
    """
    counterpart = config.dense_twin()
    matches = [_compare(f"{name} without experts", counterpart, config)]
    widened = _widen(config)
    if widened.d_ff != counterpart.d_ff:
        matches.append(_compare(f"{name} without experts, d_ff {widened.d_ff}", widened, config))
    presets = [
        _compare(preset_name, dense, config)
        for preset_name, dense in PRESETS.items()
        if dense.moe is None and dense.vocab_size == config.vocab_size
    ]
    presets.sort(key=lambda match: max(match.ratio, 1 / match.ratio))
    return matches + presets[:1]


def _widen(config: ModelConfig) -> ModelConfig:
    """Widen d_ff to the step closest in FLOPs per token, which are linear in d_ff."""
    dense = config.dense_twin()
    next_wider = dataclasses.replace(dense, d_ff=dense.d_ff + D_FF_STEP)
    base = flops.flops_per_token(dense)
    slope = flops.flops_per_token(next_wider) - base
    steps = round((flops.flops_per_token(config) - base) / slope)
    return dataclasses.replace(dense, d_ff=dense.d_ff + D_FF_STEP * steps)


def _compare(name: str, dense: ModelConfig, moe: ModelConfig) -> DenseMatch:
    cost = flops.flops_per_token(dense)
    return DenseMatch(
        name=name, config=dense, flops_per_token=cost, ratio=cost / flops.flops_per_token(moe)
    )
