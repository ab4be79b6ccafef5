"""Whether a sparse model is worth it: its difference from its dense partner, with all costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from registry.comparison.dense_partners import DensePartner
from registry.comparison.promotion_test import SAME_COST
from registry.comparison.version_costs import COSTS

PairOutcome = Literal["better", "same quality", "undecided", "worse"]
_SHOWN_COSTS = ("token", "memory", "time", "training")


@dataclass(frozen=True, kw_only=True)
class PairVerdict:
    """The verdict on a sparse model and its dense partner."""

    outcome: PairOutcome
    """Of the sparse model: `same quality` if the interval is within the margin, `undecided` if it
    contains 0 and exceeds the margin."""
    is_sparse_worth_it: bool
    """Whether it is better; or of the same quality, and cheaper in FLOPs."""
    sentence: str
    partner: DensePartner


def judge_pair(partner: DensePartner, *, margin: float, min_saving: float) -> PairVerdict:
    """Judge whether a sparse model is worth it, from the 95 % interval of the paired difference.

    Args:
        partner: the pair.
        margin: largest loss that counts as the same quality, as a share of the maximum score.
        min_saving: smallest share of the FLOPs that a cheaper model saves.
    """
    half_width = 100 * max(abs(partner.low), abs(partner.high))
    flops = partner.cost_ratios["item"]
    is_cheaper = flops is not None and flops <= 1 - min_saving
    interval = f"{100 * partner.low:+.1f} … {100 * partner.high:+.1f}"
    outcome: PairOutcome
    if partner.low > 0:
        outcome = "better"
        quality = f"better by {100 * partner.difference:.1f} points ({interval})"
    elif partner.high < 0:
        outcome = "worse"
        quality = f"worse by {-100 * partner.difference:.1f} points ({interval})"
    elif half_width <= 100 * margin:
        outcome = "same quality"
        quality = f"same quality within ± {half_width:.1f} points"
    else:
        outcome = "undecided"
        quality = f"no difference shown, within ± {half_width:.1f} points"
    is_not_worse = outcome == "better" or (partner.low > -margin and outcome != "worse")
    is_worth_it = outcome == "better" or (is_not_worse and is_cheaper)
    name, dense = (
        f"{partner.moe} v{partner.moe_version}",
        f"{partner.dense} v{partner.dense_version}",
    )
    advice = "take the sparse model" if is_worth_it else "keep the dense model"
    return PairVerdict(
        outcome=outcome,
        is_sparse_worth_it=is_worth_it,
        sentence=f"{name} against {dense}: {quality} at {_describe_costs(partner)}: {advice}",
        partner=partner,
    )


def _describe_costs(partner: DensePartner) -> str:
    """Return how many times the costs of the dense model the sparse model has."""
    ratios = {cost: partner.cost_ratios[cost] for cost in _SHOWN_COSTS}
    known = [
        f"{1.0 if 1 / SAME_COST <= ratio <= SAME_COST else ratio:.2f} × {COSTS[cost].noun}"
        for cost, ratio in ratios.items()
        if ratio is not None
    ]
    unknown = [COSTS[cost].noun for cost, ratio in ratios.items() if ratio is None]
    return ", ".join(known) + (f" ({' and '.join(unknown)} unknown)" if unknown else "")
