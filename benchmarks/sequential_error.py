"""False verdicts of sequential comparisons, and the items that they save, by simulation.

    python -m benchmarks.sequential_error --json benchmarks/results/sequential_error.json

`false_verdicts`: at the boundary of each verdict, the share of comparisons in which a false verdict
was clear after any number of items, with independent items, with clusters and with tasks of
different weights; beside it the share in which the usual 95 % interval excluded the truth at any of
40 looks. `items`: at a true difference of 5 points, how many items the sequential comparison takes
on average and the fixed test needs for the same power; the sequential one stops at the latest at
the number of items at which it has this power.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import binomtest

from benchmarks.timing import argument_parser, machine_info, write_figures
from registry.comparison.sequential import SequentialOutcome, judge_sequentially
from registry.comparison.variance_components import Floats, Ints, PairedSample

MARGIN, ALPHA = 0.01, 0.05
NUM_ITEMS = 2_000
NUM_LOOKS = 40
SHARE_DIFFERENT = 0.2
"""Share of the items on which the models differ."""
LAYOUTS = ("items", "clusters of 5", "2 tasks")
DIFFERENCE = 0.05
POWERS = (0.8, 0.95, 0.99)
SHARES_DIFFERENT = (0.1, 0.2, 0.3)


def draw_differences(
    generator: np.random.Generator, difference: float, share: float, sizes: Ints
) -> Floats:
    """Draw right and wrong answers of two models; items of a cluster agree with probability 0.3."""
    by_cluster = generator.random(len(sizes)).repeat(sizes)
    own = generator.random(len(by_cluster))
    uniform = np.where(generator.random(len(own)) < math.sqrt(0.3), by_cluster, own)
    num_a, num_b = (share + difference) / 2, (share - difference) / 2
    return (uniform < num_a).astype(float) - (uniform > 1 - num_b)


def draw_sample(
    generator: np.random.Generator, difference: float, layout: str, num_items: int
) -> PairedSample:
    """Draw answers whose weighted mean difference is `difference`."""
    size = 5 if layout == "clusters of 5" else 1
    sizes = np.full(num_items // size, size)
    tasks = np.zeros(num_items, dtype=np.int64)
    weights = np.ones(1)
    values = draw_differences(generator, difference, SHARE_DIFFERENT, sizes)
    if layout == "2 tasks":
        # A quarter of the items has half of the weight, and gains what the others lose.
        tasks = (np.arange(num_items) % 4 == 0).astype(np.int64)
        weights = np.array([0.5, 0.5])
        gain = draw_differences(generator, difference + 0.05, SHARE_DIFFERENT, sizes)
        loss = draw_differences(generator, difference - 0.05, SHARE_DIFFERENT, sizes)
        values = np.where(tasks == 1, gain, loss)
    clusters = np.arange(len(sizes)).repeat(sizes)
    return make_sample(values, tasks, clusters, weights)


def make_sample(values: Floats, tasks: Ints, clusters: Ints, weights: Floats) -> PairedSample:
    """Return a sample with one seed whose B scores 0."""
    return PairedSample(
        scores_a_SN=values[None, :],
        scores_b_SN=np.zeros((1, len(values))),
        seeds_a=(0,),
        seeds_b=(0,),
        task_N=tasks,
        cluster_N=clusters,
        weights_T=weights,
    )


def is_false(outcome: SequentialOutcome, difference: float) -> bool:
    """Return whether a false verdict was ever clear."""
    return (
        (outcome.better_after is not None and difference <= 0)
        or (outcome.worse_after is not None and difference >= 0)
        or (outcome.not_worse_after is not None and difference <= -MARGIN)
    )


def excludes_truth_at_a_look(values: Floats, difference: float) -> bool:
    """Return whether the usual interval excludes the truth at any look."""
    for num_items in np.linspace(0, len(values), NUM_LOOKS + 1)[1:].astype(int):
        seen = values[:num_items]
        error = 1.96 * float(seen.std(ddof=1)) / math.sqrt(num_items)
        if abs(float(seen.mean()) - difference) > error:
            return True
    return False


def measure_false_verdicts(num_simulations: int, num_items: int) -> dict[str, Any]:
    """Return the rate of false verdicts for each boundary and layout."""
    figures = {}
    for layout in LAYOUTS:
        for difference in (0.0, -MARGIN, MARGIN):
            generator = np.random.default_rng(0)
            num_false = num_excluded = 0
            for _ in range(num_simulations):
                sample = draw_sample(generator, difference, layout, num_items)
                outcome = judge_sequentially(sample, margin=MARGIN, alpha=ALPHA)
                num_false += is_false(outcome, difference)
                if layout == "items":
                    num_excluded += excludes_truth_at_a_look(sample.item_differences, difference)
            interval = binomtest(num_false, num_simulations).proportion_ci(method="exact")
            figures[f"{layout}, {100 * difference:g} points"] = {
                "rate": round(num_false / num_simulations, 4),
                "binomial_interval": [round(interval.low, 4), round(interval.high, 4)],
                "fixed_test_at_every_look": (
                    round(num_excluded / num_simulations, 4) if layout == "items" else None
                ),
            }
    return figures


def measure_items(num_simulations: int, num_items: int) -> dict[str, Any]:
    """Return the items of sequential and fixed tests for each power and share of differences."""
    figures = {}
    for share in SHARES_DIFFERENT:
        generator = np.random.default_rng(1)
        sizes = np.ones(num_items, dtype=np.int64)
        stops = []
        for _ in range(num_simulations):
            values = draw_differences(generator, DIFFERENCE, share, sizes)
            items = np.arange(num_items)
            sample = make_sample(values, np.zeros_like(items), items, np.ones(1))
            outcome = judge_sequentially(sample, margin=MARGIN, alpha=ALPHA)
            stops.append(outcome.better_after or num_items)
        variance = share - DIFFERENCE**2
        for power in POWERS:
            largest = float(np.quantile(stops, power))
            sequential = float(np.minimum(stops, largest).mean())
            quantiles = float(ndtri(1 - ALPHA / 2) + ndtri(power))
            fixed = quantiles**2 * variance / DIFFERENCE**2
            figures[f"{100 * share:g} % of items differ, power {power}"] = {
                "sequential_mean": round(sequential),
                "sequential_largest": round(largest),
                "fixed": round(fixed),
                "ratio": round(sequential / fixed, 2),
            }
    return figures


def main() -> None:
    """Print and write the rates of false verdicts and the numbers of items."""
    options = argument_parser(__doc__).parse_args()
    num_simulations = 10 if options.quick else 1000
    num_items = 400 if options.quick else NUM_ITEMS
    figures = {
        "false_verdicts": measure_false_verdicts(num_simulations, num_items),
        "items": measure_items(num_simulations // 2, 4 * num_items),
    }
    for cases in figures.values():
        for case, values in cases.items():
            print(f"{case:42s} {values}")
    settings = {"margin": MARGIN, "alpha": ALPHA, "num_simulations": num_simulations}
    machine = machine_info("numpy", "scipy")
    write_figures({"machine": machine, "settings": settings, **figures}, options.json)


if __name__ == "__main__":
    main()
