"""How many examples of each task a mixture holds.

Chung et al., arXiv 2210.11416, section 2.1: fixed shares between mixtures; within one, a task's
rate is proportional to min(its examples, the cap), raised to 1/temperature (Raffel et al., arXiv
1910.10683, section 3.5.2; 1 in FLAN).
"""

from __future__ import annotations

from collections.abc import Mapping


def quotas(
    counts: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, float],
    caps: Mapping[str, int],
    examples: int,
    temperature: float = 1.0,
) -> dict[str, dict[str, int]]:
    """`counts`: mixture -> task -> examples at hand. Returns the same shape: examples aimed at.

    A task may have fewer than that: what it lacks is not made up by others, so the report shows
    the shortfall.
    """
    present = {m: shares.get(m, 0.0) for m, tasks in counts.items() if tasks}
    whole = sum(present.values())
    result: dict[str, dict[str, int]] = {}
    for mixture, tasks in counts.items():
        if not tasks or not whole:
            result[mixture] = {}
            continue
        budget = examples * present[mixture] / whole
        cap = caps.get(mixture)
        capped = {task: min(n, cap) if cap else n for task, n in tasks.items()}
        weights = {task: n ** (1 / temperature) for task, n in capped.items()}
        total = sum(weights.values())
        wanted = {task: budget * weight / total for task, weight in weights.items()}
        result[mixture] = _round(wanted)
    return result


def target_shares(mixtures: list[str], shares: Mapping[str, float]) -> dict[str, float]:
    """Shares scaled to 1 over the mixtures that are there."""
    whole = sum(shares.get(m, 0.0) for m in mixtures)
    return {m: shares.get(m, 0.0) / whole if whole else 0.0 for m in mixtures}


def _round(wanted: Mapping[str, float]) -> dict[str, int]:
    """Largest-remainder rounding: the sum is kept."""
    floor = {task: int(value) for task, value in wanted.items()}
    short = round(sum(wanted.values())) - sum(floor.values())
    by_remainder = sorted(wanted, key=lambda task: (floor[task] - wanted[task], task))
    for task in by_remainder[:short]:
        floor[task] += 1
    return floor
