"""Difference of a promotion test: a candidate against one opponent, at the level of the test."""

from __future__ import annotations

from dataclasses import dataclass

from registry.comparison.paired_estimate import PairedEstimate


@dataclass(frozen=True, kw_only=True)
class PromotionRule:
    """Settings of the promotion decision."""

    margin: float = 0.01
    """Non-inferiority margin, as a share of the maximum score."""
    alpha: float = 0.05
    """Probability of any false promotion against one champion, over all its challengers."""
    min_saving: float = 0.05
    """Smallest share of the cost that a cheaper model saves: a model whose answers are by chance a
    little shorter is not cheaper."""


@dataclass(frozen=True, kw_only=True)
class TestedDifference:
    """Accuracy of the challenger minus that of an opponent, at the level of the test."""

    opponent: str
    difference: float
    standard_error: float
    degrees_of_freedom: float
    low: float
    """One-sided lower bound at the level of the test."""
    high: float
    """One-sided upper bound at the level of the test."""
    interval_95: tuple[float, float]
    """The usual 95 % interval, which does not decide."""
    p_better: float
    """One-sided p value of a difference above 0."""
    p_not_worse: float
    """One-sided p value of a difference above minus the margin."""
    decidable_difference: float
    """True difference at which 80 % of such tests find a difference above 0; above 1: none."""
    num_seeds: int
    num_opponent_seeds: int
    """0 for random answers."""
    num_items: int
    num_clusters: int
    basis: str

    def describe(self) -> str:
        """Return the difference with its bounds, in points."""
        return (
            f"{format_points(self.difference)} points against {self.opponent} "
            f"({format_points(self.low)} … {format_points(self.high)}; {self.basis})"
        )


def measure_difference(
    estimate: PairedEstimate, opponent: str, rule: PromotionRule, alpha_used: float
) -> TestedDifference:
    """Return an estimate with its bounds at the level of the test.

    Args:
        estimate: the candidate's accuracy minus the opponent's.
        opponent: name of the opponent.
        rule: the margin.
        alpha_used: level of the test.
    """
    return TestedDifference(
        opponent=opponent,
        difference=estimate.difference,
        standard_error=estimate.standard_error,
        degrees_of_freedom=estimate.degrees_of_freedom,
        low=estimate.lower_bound(alpha_used),
        high=estimate.upper_bound(alpha_used),
        interval_95=estimate.interval(0.95),
        p_better=estimate.p_value(0.0, "greater"),
        p_not_worse=estimate.p_value(-rule.margin, "greater"),
        decidable_difference=estimate.decidable_difference(alpha_used),
        num_seeds=estimate.num_seeds_a,
        num_opponent_seeds=estimate.num_seeds_b,
        num_items=estimate.num_items,
        num_clusters=estimate.num_clusters,
        basis=estimate.basis,
    )


def format_points(difference: float) -> str:
    """Return a difference of scores in points, with its sign."""
    return f"{100 * difference:+.2f}"
