"""Errors and power of the promotion decision, by simulation.

    python -m benchmarks.promotion_error --json benchmarks/results/promotion_error.json

Models answer the same 600 items in 60 clusters, right or wrong; the effects of a model on the items
have an intra-cluster correlation of 0.3, and the accuracy of each seed varies. "Equal" models have
the same expected accuracy; at one seed that is the accuracy of these weights, so no seed varies.

- `single_test`: 1,000 equal challengers that are not cheaper, one test each.
- `year`: 365 nights with 3 equal challengers each against one champion, whose answers all tests
  share; the share of years with any promotion.
- `power`: a challenger gains what an earlier test of this kind named as decidable.
- `small_losses`: every night a cheaper challenger that is half a margin worse than the champion, on
  12,000 items; the share of chains whose champion is ever worse than the best one by more than the
  margin, without and with the test against earlier champions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import binomtest

from benchmarks.timing import argument_parser, machine_info, write_figures
from registry.comparison.alpha_spending import spent_alpha
from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.promotion_test import CostRatios, PromotionVerdict, judge_promotion
from registry.comparison.tested_difference import PromotionRule
from registry.comparison.variance_components import Floats, Ints, PairedSample

RULE = PromotionRule()
SAME_COSTS = CostRatios(flops_per_item=1.0, total_parameters=1.0, is_cheaper=False)
CHEAPER = CostRatios(flops_per_item=0.9, total_parameters=1.0, is_cheaper=True)
INTRA_CLUSTER_CORRELATION = 0.3
ACCURACY = 0.6
CASES = ((1, 0.0), (3, 0.0), (3, 0.05), (3, 0.10), (5, 0.05))
"""Number of seeds, standard deviation of their accuracies."""
POWER_CASES = ((1, 0.0), (3, 0.0), (3, 0.05), (5, 0.05), (10, 0.10))
"""The same; 3 seeds that vary by 10 points decide no possible gain."""
YEAR_CASES = ((1, 0.0, 100), (3, 0.05, 50))
"""The same, and the number of simulated years."""
POWER_ACCURACY = 0.3
"""Accuracy of the champion, from which a challenger can gain much."""
NUM_NIGHTS, NUM_CANDIDATES = 365, 3


@dataclass(frozen=True)
class Exam:
    """Items of a simulated evaluation, and how much models differ on them."""

    cluster_N: Ints
    difficulty_N: Floats
    model_std: float
    """Standard deviation of a model's effect on an item; that of the difficulty is 1."""

    @classmethod
    def draw(
        cls, generator: np.random.Generator, num_clusters: int, size: int, model_std: float
    ) -> Exam:
        """Draw the difficulties of the items."""
        clusters = np.arange(num_clusters * size) // size
        return cls(clusters, generator.normal(size=len(clusters)), model_std)

    def answers(
        self, generator: np.random.Generator, accuracy: float, num_seeds: int, seed_std: float
    ) -> Floats:
        """Draw the scores of a model, one row per seed, float [S, N]."""
        accuracies = (accuracy + generator.normal(0, seed_std, num_seeds)).clip(0.01, 0.99)
        thresholds = math.sqrt(1 + self.model_std**2) * ndtri(accuracies)
        shared, own = self._effects(generator, 1), self._effects(generator, num_seeds)
        effects = self.model_std * (math.sqrt(0.5) * (shared + own))
        return np.asarray(self.difficulty_N + effects < thresholds[:, None], dtype=float)

    def _effects(self, generator: np.random.Generator, num_rows: int) -> Floats:
        by_cluster = generator.normal(size=(num_rows, self.cluster_N[-1] + 1))[:, self.cluster_N]
        own = generator.normal(size=(num_rows, len(self.cluster_N)))
        correlation = INTRA_CLUSTER_CORRELATION
        return math.sqrt(correlation) * by_cluster + math.sqrt(1 - correlation) * own

    def estimate(self, a: Floats, b: Floats) -> PairedEstimate:
        """Estimate the difference of two models from their answers."""
        seeds = tuple(range(len(a)))
        return estimate_difference(
            PairedSample(
                scores_a_SN=a,
                scores_b_SN=b,
                seeds_a=seeds,
                seeds_b=seeds,
                task_N=np.zeros_like(self.cluster_N),
                cluster_N=self.cluster_N,
                weights_T=np.ones(1),
            )
        )


def judge(
    estimate: PairedEstimate,
    num_earlier_tests: int = 0,
    costs: CostRatios = SAME_COSTS,
    promoted: tuple[PairedEstimate, ...] = (),
) -> PromotionVerdict:
    """Judge a challenger by its differences from the champion and earlier champions."""
    others = [("earlier", other) for other in promoted]
    return judge_promotion("new", ("old", estimate), others, costs, RULE, num_earlier_tests)


def small_exam(generator: np.random.Generator) -> Exam:
    """Draw 600 items in 60 clusters."""
    return Exam.draw(generator, 60, 10, model_std=0.7)


def simulate_test(generator: np.random.Generator, num_seeds: int, seed_std: float) -> bool:
    """Return whether an equal challenger that is not cheaper is promoted."""
    exam = small_exam(generator)
    a, b = (exam.answers(generator, ACCURACY, num_seeds, seed_std) for _ in range(2))
    return judge(exam.estimate(a, b)).is_promoted


def simulate_year(
    generator: np.random.Generator, num_seeds: int, seed_std: float, num_tests: int
) -> bool:
    """Return whether any of the equal challengers of a year is promoted."""
    exam = small_exam(generator)
    champion = exam.answers(generator, ACCURACY, num_seeds, seed_std)
    for test in range(num_tests):
        challenger = exam.answers(generator, ACCURACY, num_seeds, seed_std)
        estimate = exam.estimate(challenger, champion)
        # The verdict also computes what is decidable; without a gain it need not be asked.
        if estimate.lower_bound(spent_alpha(RULE.alpha, test)) > 0:
            return judge(estimate, test).is_promoted
    return False


def simulate_power(generator: np.random.Generator, num_seeds: int, seed_std: float) -> bool:
    """Return whether a challenger is promoted that gains what a test before named as decidable."""
    gain = 0.0
    for _ in range(2):
        exam = small_exam(generator)
        a = exam.answers(generator, POWER_ACCURACY + gain, num_seeds, seed_std)
        b = exam.answers(generator, POWER_ACCURACY, num_seeds, seed_std)
        verdict = judge(exam.estimate(a, b))
        gain = verdict.against_champion.decidable_difference
    return verdict.is_promoted


def simulate_small_losses(
    generator: np.random.Generator, num_nights: int, *, tests_earlier_champions: bool
) -> tuple[float, int]:
    """Return the largest loss of a champion against the best, and the number of promotions."""
    exam = Exam.draw(generator, 6000, 2, model_std=0.08)
    best = accuracy = ACCURACY
    champions = [exam.answers(generator, accuracy, 1, 0.0)]
    num_tests, largest_loss = 0, 0.0
    for _ in range(num_nights):
        candidate_accuracy = accuracy - RULE.margin / 2
        candidate = exam.answers(generator, candidate_accuracy, 1, 0.0)
        estimates = [exam.estimate(candidate, champion) for champion in champions]
        *earlier, against_champion = estimates
        promoted = tuple(earlier) if tests_earlier_champions else ()
        level = spent_alpha(RULE.alpha, num_tests)
        num_tests += 1
        if against_champion.lower_bound(level) <= -RULE.margin:
            continue
        if judge(against_champion, num_tests - 1, CHEAPER, promoted).is_promoted:
            champions.append(candidate)
            accuracy, num_tests = candidate_accuracy, 0
            largest_loss = max(largest_loss, best - accuracy)
    return largest_loss, len(champions) - 1


def rate(outcomes: list[bool]) -> dict[str, Any]:
    """Return the share of true outcomes with its 95 % binomial interval."""
    interval = binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="exact")
    return {
        "rate": round(sum(outcomes) / len(outcomes), 4),
        "binomial_interval": [round(interval.low, 4), round(interval.high, 4)],
        "num_simulations": len(outcomes),
    }


def repeat(simulate: Callable[[np.random.Generator], bool], number: int) -> dict[str, Any]:
    """Return the rate of a simulation that is repeated."""
    generator = np.random.default_rng(0)
    return rate([simulate(generator) for _ in range(number)])


def measure_small_losses(number: int, num_nights: int, *, tests_earlier: bool) -> dict[str, Any]:
    """Return the rate of chains that sink below the best by more than the margin."""
    generator = np.random.default_rng(0)
    chains = [
        simulate_small_losses(generator, num_nights, tests_earlier_champions=tests_earlier)
        for _ in range(number)
    ]
    return {
        **rate([loss > RULE.margin + 1e-9 for loss, _ in chains]),
        "largest_loss_points": round(100 * max(loss for loss, _ in chains), 2),
        "mean_promotions": round(float(np.mean([count for _, count in chains])), 2),
    }


def describe(case: tuple[int, float]) -> str:
    """Return the name of a case."""
    num_seeds, seed_std = case
    return f"{num_seeds} seeds, {100 * seed_std:g} points"


def main() -> None:
    """Print and write the rates of every simulation."""
    options = argument_parser(__doc__).parse_args()
    number = 20 if options.quick else 1000
    num_tests = 15 if options.quick else NUM_NIGHTS * NUM_CANDIDATES
    num_years = 10 if options.quick else None
    num_chains, num_nights = (3, 5) if options.quick else (100, 40)
    figures: dict[str, Any] = {"single_test": {}, "year": {}, "power": {}, "small_losses": {}}
    for name, simulate, cases in (
        ("single_test", simulate_test, CASES),
        ("power", simulate_power, POWER_CASES),
    ):
        for case in cases:
            figures[name][describe(case)] = repeat(lambda g, f=simulate, a=case: f(g, *a), number)
    for case in YEAR_CASES:
        figures["year"][describe(case[:2])] = repeat(
            lambda g, a=case: simulate_year(g, *a[:2], num_tests), num_years or case[2]
        )
    for name, tests_earlier in (("champion only", False), ("all champions", True)):
        figures["small_losses"][name] = measure_small_losses(
            num_chains, num_nights, tests_earlier=tests_earlier
        )
    for name, rates in figures.items():
        for case_name, values in rates.items():
            print(f"{name:14s} {case_name:22s} {values}")
    rule = {"margin": RULE.margin, "alpha": RULE.alpha, "num_tests_a_year": num_tests}
    machine = machine_info("numpy", "scipy")
    write_figures({"machine": machine, "rule": rule, **figures}, options.json)


if __name__ == "__main__":
    main()
