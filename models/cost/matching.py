"""Find dense models with the same FLOPs per token as an MoE model."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from models.config import ModelConfig
from models.cost import flops
from models.presets import PRESETS

D_FF_STEP = 64
"""Step in which d_ff is widened: matrix products are fastest at dimensions divisible by 64."""

WIDTH_STEP = 8
"""Step of d_model for models of any size."""


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
    widened = match_d_ff(counterpart, flops.flops_per_token(config))
    if widened.d_ff != counterpart.d_ff:
        matches.append(_compare(f"{name} without experts, d_ff {widened.d_ff}", widened, config))
    presets = [
        _compare(preset_name, dense, config)
        for preset_name, dense in PRESETS.items()
        if dense.moe is None and dense.vocab_size == config.vocab_size
    ]
    presets.sort(key=lambda match: max(match.ratio, 1 / match.ratio))
    return matches + presets[:1]


def match_d_ff(config: ModelConfig, target: float, step: int = D_FF_STEP) -> ModelConfig:
    """Change d_ff by the number of steps that comes closest to a target.

    Args:
        config: model, dense or MoE, whose FLOPs per token are linear in d_ff.
        target: FLOPs per token.
        step: step of d_ff.

    Returns:
        The model with a d_ff of at least one step.
    """
    wider = dataclasses.replace(config, d_ff=config.d_ff + step)
    base = flops.flops_per_token(config)
    slope = flops.flops_per_token(wider) - base
    d_ff = config.d_ff + step * round((target - base) / slope)
    return dataclasses.replace(config, d_ff=d_ff if d_ff > 0 else step)


def match_width(config: ModelConfig, target: float, step: int = WIDTH_STEP) -> ModelConfig:
    """Change d_model, with heads and d_ff in proportion, to come closest to a target.

    Args:
        config: model, dense or MoE.
        target: FLOPs per token.
        step: step of d_model and d_ff.

    Returns:
        The model with a d_model of at least one step, and of the same head size.
    """
    # FLOPs grow with every width, at most quadratically: the first width above the target, and the
    # width below it, are the closest.
    width, below = step, scale_width(config, step, step)
    while flops.flops_per_token(below) < target:
        width += step
        above = scale_width(config, width, step)
        if flops.flops_per_token(above) >= target:
            return min(below, above, key=lambda c: abs(math.log(flops.flops_per_token(c) / target)))
        below = above
    return below


def scale_width(config: ModelConfig, d_model: int, step: int = WIDTH_STEP) -> ModelConfig:
    """Return the model with another d_model; the number of heads and d_ff change in proportion."""
    scale = d_model / config.d_model
    return dataclasses.replace(
        config,
        d_model=d_model,
        num_heads=max(1, round(scale * config.num_heads)),
        d_ff=max(1, round(scale * config.d_ff / step)) * step,
    )


def _compare(name: str, dense: ModelConfig, moe: ModelConfig) -> DenseMatch:
    cost = flops.flops_per_token(dense)
    return DenseMatch(
        name=name, config=dense, flops_per_token=cost, ratio=cost / flops.flops_per_token(moe)
    )
