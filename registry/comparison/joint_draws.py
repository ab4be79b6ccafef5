"""Draws of the scores that several models may truly have, jointly, as they share the items.

Shape suffixes: R draws, V models, P pairs of cluster and task, C clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from registry.comparison.model_set import ScoredModel
from registry.comparison.pairing import pair_sorted_results
from registry.comparison.variance_components import Floats

NUM_DRAWS = 2_000
_DRAWS_PER_BLOCK = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class JointDraws:
    """Scores that models may truly have, in blocks, so that memory is linear in their number."""

    values_V: Floats
    errors_V: Floats
    """Standard errors over items, and over seeds where a model has several."""
    draw_noise: Callable[[np.random.Generator, int], Floats]
    """Draws deviations of the scores, float [R, V]."""

    def blocks(self, seed: int = 0) -> Iterator[Floats]:
        """Yield NUM_DRAWS draws of all scores, float [R, V] a block, always the same."""
        generator = np.random.default_rng(seed)
        for _ in range(NUM_DRAWS // _DRAWS_PER_BLOCK):
            yield self.values_V + self.draw_noise(generator, _DRAWS_PER_BLOCK)


def draw_paired(models: Sequence[ScoredModel]) -> JointDraws:
    """Draw scores from normal distributions with the covariance that the shared items cause.

    The effects of the clusters on a score are independent, so a weighted sum of them with standard
    normal weights has the covariance. The variance over the seeds of a model adds to it, in draws
    from Student's distribution.

    Args:
        models: models that were evaluated on the same items, with their answers.
    """
    weights = models[0].scores[0].weights
    first = models[0].group.results
    samples = [pair_sorted_results(model.group.results, first, weights) for model in models]
    layout = samples[0].layout
    effects_VC = np.stack(
        [layout.sum_by_cluster(layout.residuals(sample.scores_a_SN.mean(0))) for sample in samples]
    )
    single_variance = layout.single_item_variance
    num_seeds_V = np.array([len(model.scores) for model in models])
    seed_variance_V = np.array([_variance_over_seeds(model) for model in models])
    several = np.flatnonzero(num_seeds_V > 1)

    def draw_noise(generator: np.random.Generator, num_draws: int) -> Floats:
        noise_RV = generator.standard_normal((num_draws, effects_VC.shape[1])) @ effects_VC.T
        noise_RV += single_variance**0.5 * generator.standard_normal(noise_RV.shape)
        shape = (num_draws, len(several))
        student_RV = generator.standard_t(num_seeds_V[several] - 1, shape)
        noise_RV[:, several] += np.sqrt(seed_variance_V[several]) * student_RV
        return np.asarray(noise_RV)

    return JointDraws(
        values_V=np.array([model.value for model in models]),
        errors_V=np.sqrt((effects_VC**2).sum(1) + single_variance + seed_variance_V),
        draw_noise=draw_noise,
    )


def draw_independent(models: Sequence[ScoredModel]) -> JointDraws:
    """Draw scores independently from their recorded standard errors.

    For models of which some have no stored answers; it overstates the uncertainty of differences.

    Args:
        models: models that were evaluated on the same items.
    """
    errors_V = np.array([model.scores[0].standard_error for model in models])
    return JointDraws(
        values_V=np.array([model.value for model in models]),
        errors_V=errors_V,
        draw_noise=lambda generator, num_draws: np.asarray(
            errors_V * generator.standard_normal((num_draws, len(errors_V)))
        ),
    )


def _variance_over_seeds(model: ScoredModel) -> float:
    """Return the variance of a model's mean score over seeds; 0 for a single seed."""
    values = [score.value for score in model.scores]
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
