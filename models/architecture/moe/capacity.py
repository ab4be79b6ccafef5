"""The number of tokens that an expert accepts. Imports no torch."""

from __future__ import annotations

import math

from models.config import MoEConfig


def min_drop_share(moe: MoEConfig) -> float:
    """Return the share of the assignments that training drops with equal loads of all experts.

    A top-2 router with a capacity factor of 1.25 per token (ST-MoE) has 1.25 rows for 2 assignments
    and drops 37.5 %.

    Args:
        moe: MoE configuration of the stack.
    """
    factor = moe.capacity_factor_train
    if moe.router == "expert_choice" or factor is None:
        return 0.0
    choices = moe.top_k if moe.capacity_per == "token" else 1
    return max(0.0, 1 - factor / choices)


def expert_capacity(num_tokens: int, moe: MoEConfig, *, training: bool) -> int:
    """Compute the number of tokens an expert accepts from a group.

        capacity_per token:      round(factor * num_tokens / E)
        capacity_per assignment: ceil(factor * num_tokens * top_k / E)

    Per token as in GShard (arXiv 2006.16668, section 2.2), Switch (eq. 3) and flaxformer, whose
    rounding (half to even) it has; with expert choice c = n * factor / E (arXiv 2202.09368,
    section 3.2). Per assignment as in Tutel.

    Args:
        num_tokens: valid tokens of the group.
        moe: MoE configuration of the stack.
        training: whether the factor is that of training.

    Returns:
        At least `min_capacity`, at most `num_tokens`; `num_tokens` if dropless.
    """
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if factor is None:
        return num_tokens
    if moe.capacity_per == "token":
        capacity = round(factor * num_tokens / moe.num_experts)
    else:
        capacity = math.ceil(factor * num_tokens * moe.top_k / moe.num_experts)
    return min(num_tokens, max(moe.min_capacity, capacity))
