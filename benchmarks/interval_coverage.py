"""Coverage of the 95 % interval of paired differences, by simulation.

    python -m benchmarks.interval_coverage --json benchmarks/results/interval_coverage.json

Two models answer 1,200 items in 40 clusters; the differences by item have a standard deviation of
50 points and an intra-cluster correlation of 0.3, half of the variance is shared by all seeds, and
every seed adds an effect of its own. With one seed the interval is about these two sets of weights,
with several about the mean over seeds. Four intervals beside each other: that of
`registry.comparison.paired_estimate`, Student's over the differences by seed, the first one's
variances with Satterthwaite's degrees of freedom, and the percentile bootstrap over seeds. A second
table has binary answers at one seed, in clusters of other numbers and sizes, and rare differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit
from scipy.stats import binomtest

from benchmarks.timing import argument_parser, machine_info, write_figures
from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.variance_components import Floats, Ints, PairedSample

NUM_SIMULATIONS = 2_000
NUM_SEEDS = (1, 2, 3, 5, 10)
SEED_STDS = (0.0, 0.05, 0.10)
NUM_CLUSTERS, CLUSTER_SIZE = 40, 30
INTRA_CLUSTER_CORRELATION = 0.3
ITEM_STD = 0.5
DIFFERENCE = 0.03
NUM_RESAMPLES = 1_000

LAYOUTS = {
    "5 clusters of 30": ([30] * 5, 0.1, 0.1),
    "10 clusters of 30": ([30] * 10, 0.1, 0.1),
    "40 clusters of 30": ([30] * 40, 0.1, 0.1),
    "10 clusters of 5, 5, 5 or 100": ([5, 5, 5, 100, 5, 5, 5, 100, 5, 5], 0.1, 0.1),
    "200 clusters of 1 to 10": ([1, 1, 1, 2, 10] * 40, 0.1, 0.1),
    "100 items, 10 % and 5 % differ": ([1] * 100, 0.10, 0.05),
    "1,000 items, 0.3 % and none differ": ([1] * 1000, 0.003, 0.0),
}
"""Layout -> sizes of the clusters, share of items that only A or only B gets right."""


def draw_seeds(
    generator: np.random.Generator, num_seeds: int, seed_std: float
) -> tuple[PairedSample, float]:
    """Draw the differences of two models, and the true difference that the interval is about."""
    clusters = np.arange(NUM_CLUSTERS * CLUSTER_SIZE) // CLUSTER_SIZE
    shared = clustered_normal(generator, clusters)
    own = np.stack([clustered_normal(generator, clusters) for _ in range(num_seeds)])
    effects = generator.normal(0, seed_std, (num_seeds, 1))
    noise = ITEM_STD * math.sqrt(0.5) * (shared + own)
    truth = DIFFERENCE + (float(effects[0, 0]) if num_seeds == 1 else 0.0)
    return make_sample(DIFFERENCE + effects + noise, clusters), truth


def draw_binary(
    generator: np.random.Generator, sizes: list[int], share_a: float, share_b: float
) -> tuple[PairedSample, float]:
    """Draw items that only A or only B gets right, correlated within clusters."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    quantiles = ndtr(clustered_normal(generator, clusters))
    differences = (quantiles > 1 - share_a).astype(float) - (quantiles < share_b)
    return make_sample(differences[None, :], clusters), share_a - share_b


def clustered_normal(generator: np.random.Generator, clusters: Ints) -> Floats:
    """Draw standard normal values with the intra-cluster correlation."""
    by_cluster = generator.normal(size=clusters[-1] + 1)[clusters]
    own = generator.normal(size=len(clusters))
    correlation = INTRA_CLUSTER_CORRELATION
    return np.asarray(math.sqrt(correlation) * by_cluster + math.sqrt(1 - correlation) * own)


def make_sample(differences_SN: Floats, clusters: Ints) -> PairedSample:
    """Return a sample in one task whose B scores 0."""
    seeds = tuple(range(len(differences_SN)))
    return PairedSample(
        scores_a_SN=differences_SN,
        scores_b_SN=np.zeros_like(differences_SN),
        seeds_a=seeds,
        seeds_b=seeds,
        task_N=np.zeros_like(clusters),
        cluster_N=clusters,
        weights_T=np.ones(1),
    )


def other_intervals(
    generator: np.random.Generator, sample: PairedSample, estimate: PairedEstimate
) -> dict[str, tuple[float, float]]:
    """Return the intervals that the project does not use."""
    means_S = sample.scores_a_SN.mean(1)
    num_seeds, mean = len(means_S), float(means_S.mean())
    if num_seeds == 1:
        return {}
    by_seed = -float(stdtrit(num_seeds - 1, 0.025)) * float(means_S.std(ddof=1) / num_seeds**0.5)
    freedom = estimate.degrees_of_freedom
    satterthwaite = -float(stdtrit(freedom, 0.025)) * estimate.standard_error
    drawn_RS = generator.choice(means_S, (NUM_RESAMPLES, num_seeds))
    low, high = np.quantile(drawn_RS.mean(1), [0.025, 0.975])
    return {
        "t_over_seeds": (mean - by_seed, mean + by_seed),
        "satterthwaite": (mean - satterthwaite, mean + satterthwaite),
        "bootstrap_over_seeds": (float(low), float(high)),
    }


def measure_coverage(
    draw: Callable[[np.random.Generator], tuple[PairedSample, float]], num_simulations: int
) -> dict[str, Any]:
    """Return the coverage of each interval, with its 95 % binomial interval, and mean widths.

    `relative_width` divides by the width of the interval with the true standard deviation.
    """
    generator = np.random.default_rng(0)
    covered: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}
    errors = []
    for _ in range(num_simulations):
        sample, truth = draw(generator)
        estimate = estimate_difference(sample)
        errors.append(estimate.difference - truth)
        intervals = {"paired_estimate": estimate.interval(0.95)}
        intervals |= other_intervals(generator, sample, estimate)
        for name, (low, high) in intervals.items():
            covered.setdefault(name, []).append(low <= truth <= high)
            widths.setdefault(name, []).append(high - low)
    exact_width = 2 * 1.96 * float(np.std(errors))
    figures = {}
    for name, hits in covered.items():
        interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
        figures[name] = {
            "coverage": round(sum(hits) / len(hits), 4),
            "binomial_interval": [round(interval.low, 4), round(interval.high, 4)],
            "mean_width": round(float(np.mean(widths[name])), 4),
            "relative_width": round(float(np.mean(widths[name])) / exact_width, 2),
        }
    return figures


def main() -> None:
    """Print and write the coverage of every case."""
    options = argument_parser(__doc__).parse_args()
    num_simulations = 50 if options.quick else NUM_SIMULATIONS
    by_seeds = {
        f"{num_seeds} seeds, {100 * seed_std:g} points": measure_coverage(
            lambda g, n=num_seeds, std=seed_std: draw_seeds(g, n, std), num_simulations
        )
        for num_seeds in NUM_SEEDS
        for seed_std in SEED_STDS
    }
    by_layout = {
        layout: measure_coverage(lambda g, a=arguments: draw_binary(g, *a), num_simulations)
        for layout, arguments in LAYOUTS.items()
    }
    for cases in (by_seeds, by_layout):
        for case, figures in cases.items():
            line = "  ".join(f"{n} {f['coverage']:.3f}" for n, f in figures.items())
            print(f"{case:36s} {line}  width {figures['paired_estimate']['relative_width']}")
    write_figures(
        {
            "machine": machine_info("numpy", "scipy"),
            "num_simulations": num_simulations,
            "by_seeds": by_seeds,
            "by_layout": by_layout,
        },
        options.json,
    )


if __name__ == "__main__":
    main()
