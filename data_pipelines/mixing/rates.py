"""Target number of examples of each task in a mixture.

Chung et al., arXiv 2210.11416, section 2.1: fixed shares between mixtures; within a mixture,
examples-proportional mixing: a task's rate is proportional to min(its number of examples, the cap),
raised to 1/temperature (Raffel et al., arXiv 1910.10683, section 3.5.2; temperature 1 in FLAN).
"""

from __future__ import annotations

from collections.abc import Mapping


def compute_quotas(
    counts: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, float],
    caps: Mapping[str, int],
    num_examples: int,
    temperature: float = 1.0,
) -> dict[str, dict[str, int]]:
    """Compute how many examples of each task the mixture should contain.

    A task may have fewer examples than its quota. The quotas of other tasks do not grow in return:
    its rows are repeated (`mix.repeat`), or the report shows the shortfall.

    Args:
        counts: mixture -> task -> number of available examples.
        shares: mixture -> share, in any scale.
        caps: mixture -> cap; no entry or 0 for no cap.
        num_examples: target size of the mixture.
        temperature: mixing temperature, at least 1.

    Returns:
        Mixture -> task -> target number of examples.
    """
    present = {m: shares.get(m, 0.0) for m, tasks in counts.items() if tasks}
    total_share = sum(present.values())
    result: dict[str, dict[str, int]] = {}
    for mixture, tasks in counts.items():
        if not tasks or not total_share:
            result[mixture] = {}
            continue
        budget = num_examples * present[mixture] / total_share
        cap = caps.get(mixture)
        capped = {task: min(n, cap) if cap else n for task, n in tasks.items()}
        weights = {task: n ** (1 / temperature) for task, n in capped.items()}
        total_weight = sum(weights.values())
        quotas = {task: budget * weight / total_weight for task, weight in weights.items()}
        result[mixture] = _round(quotas)
    return result


def target_shares(mixtures: list[str], shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of the given mixtures, normalised to a sum of 1."""
    total = sum(shares.get(m, 0.0) for m in mixtures)
    return {m: shares.get(m, 0.0) / total if total else 0.0 for m in mixtures}


def _round(quotas: Mapping[str, float]) -> dict[str, int]:
    """Round to integers and preserve the sum (largest remainder method)."""
    rounded = {task: int(value) for task, value in quotas.items()}
    shortfall = round(sum(quotas.values())) - sum(rounded.values())
    by_remainder = sorted(quotas, key=lambda task: (rounded[task] - quotas[task], task))
    for task in by_remainder[:shortfall]:
        rounded[task] += 1
    return rounded
