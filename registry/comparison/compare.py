"""Comparison of two evaluations: scores by task and suite, and the compute of each model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.comparison.costs import CostComparison, compare_costs
from registry.comparison.intervals import Floats, Stratum
from registry.comparison.matching import common_tasks
from registry.comparison.partner import recipe_differences
from registry.comparison.precision import precision_warnings
from registry.comparison.results import EvaluationResult
from registry.comparison.verdicts import Contrast, PairedOutcome, judge
from registry.errors import NotComparable


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """Settings of a comparison."""

    suites: tuple[str, ...] = ()
    """Suites to compare; empty: all that were evaluated."""
    margin: float = 0.01
    """Non-inferiority margin, as a share of the maximum score: a smaller loss is "not worse"."""
    alpha: float = 0.05
    """Probability of a wrong verdict among all tasks, and among all suites."""
    clean: bool = False
    """Whether to exclude items that overlap with either model's training mixture."""


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One side of a comparison."""

    label: str
    name: str
    preset: str
    is_moe: bool
    weights_sha256: str
    partial: bool

    @classmethod
    def from_result(cls, result: EvaluationResult) -> ComparedModel:
        """Describe an evaluated model."""
        return cls(
            label=result.label,
            name=result.run.name,
            preset=result.run.preset,
            is_moe=result.run.is_moe,
            weights_sha256=result.run.weights_sha256,
            partial=result.evaluation.partial,
        )


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """Scores of both models on one task."""

    task: str
    suite: str
    num_items: int
    score_a: float
    score_b: float
    outcome: PairedOutcome

    @property
    def title(self) -> str:
        """Name of the task."""
        return self.task

    def to_dict(self) -> dict[str, Any]:
        """Return the scores and the outcome as one JSON object."""
        return _merge_outcome(self)


@dataclass(frozen=True, kw_only=True)
class SuiteComparison:
    """Average scores of both models on the tasks of one suite."""

    suite: str
    num_tasks: int
    num_items: int
    partial: bool
    score_a: float
    score_b: float
    outcome: PairedOutcome

    @property
    def title(self) -> str:
        """Name of the suite, marked if it is partial."""
        return self.suite + (" (partial)" if self.partial else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the scores and the outcome as one JSON object."""
        return _merge_outcome(self)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Model A compared with model B; differences are A minus B."""

    a: ComparedModel
    b: ComparedModel
    costs: dict[str, CostComparison]
    """`per_token`, `per_item` and `training`, the last with all runs of the training chain."""
    recipe_differences: tuple[str, ...]
    """How the training of A and B differs, apart from their models; empty: the same recipe."""
    config: ComparisonConfig
    warnings: tuple[str, ...]
    """Differences between the two evaluations that can explain a part of the result."""
    suites: tuple[SuiteComparison, ...]
    tasks: tuple[TaskComparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "a": vars(self.a),
            "b": vars(self.b),
            "costs": {name: cost.to_dict() for name, cost in self.costs.items()},
            "recipe_differences": list(self.recipe_differences),
            "margin": self.config.margin,
            "alpha": self.config.alpha,
            "clean": self.config.clean,
            "warnings": list(self.warnings),
            "suites": [suite.to_dict() for suite in self.suites],
            "tasks": [task.to_dict() for task in self.tasks],
        }


@dataclass(frozen=True, kw_only=True)
class _PairedScores:
    """Scores of both models on the same items of one task, float [N] each."""

    a: Floats
    b: Floats

    def stratum(self, weight: float = 1.0) -> Stratum:
        return Stratum(differences=self.a - self.b, weight=weight)


def compare(a: EvaluationResult, b: EvaluationResult, config: ComparisonConfig) -> Comparison:
    """Compare two evaluations with paired tests.

    Args:
        a: the model that the verdicts are about.
        b: the model it is compared with.
        config: suites, margin and significance level.

    Raises:
        NotComparable: the evaluations used different items, prompts or settings; the message
            names the first difference.
    """
    names = common_tasks(a, b, config.suites)
    for result in (a, b):
        if config.clean and any(result.tasks[name].num_contaminated is None for name in names):
            reason = "its training data is unknown, so is its overlap; compare without --clean"
            raise NotComparable(f"{result.label}: {reason}")
    scores = {name: _paired_scores(a, b, name, config) for name in names}
    names = [name for name in names if len(scores[name].a)]
    if not names:
        raise NotComparable(
            f"{a.label} and {b.label}: every item overlaps with a training mixture, so nothing "
            "remains to compare; compare without --clean"
        )
    tasks_by_suite: dict[str, list[str]] = defaultdict(list)
    for name in names:
        tasks_by_suite[a.tasks[name].suite].append(name)
    return Comparison(
        a=ComparedModel.from_result(a),
        b=ComparedModel.from_result(b),
        costs=compare_costs(a, b),
        recipe_differences=tuple(recipe_differences(a.run, b.run)),
        config=config,
        warnings=precision_warnings((a.label, a.evaluation), (b.label, b.evaluation)),
        suites=_compare_suites(a, tasks_by_suite, scores, config),
        tasks=_compare_tasks(a, names, scores, config),
    )


def _compare_tasks(
    a: EvaluationResult,
    names: Sequence[str],
    scores: dict[str, _PairedScores],
    config: ComparisonConfig,
) -> tuple[TaskComparison, ...]:
    contrasts = [
        Contrast(
            strata=(scores[name].stratum(),),
            test="permutation" if a.tasks[name].metric == "rouge_l" else "mcnemar",
        )
        for name in names
    ]
    outcomes = judge(contrasts, margin=config.margin, alpha=config.alpha)
    return tuple(
        TaskComparison(
            task=name,
            suite=a.tasks[name].suite,
            num_items=len(scores[name].a),
            score_a=float(scores[name].a.mean()),
            score_b=float(scores[name].b.mean()),
            outcome=outcome,
        )
        for name, outcome in zip(names, outcomes, strict=True)
    )


def _compare_suites(
    a: EvaluationResult,
    tasks_by_suite: dict[str, list[str]],
    scores: dict[str, _PairedScores],
    config: ComparisonConfig,
) -> tuple[SuiteComparison, ...]:
    weights = {
        name: weight
        for suite, names in tasks_by_suite.items()
        for name, weight in _weights_in_suite(a, suite, names).items()
    }
    contrasts = [
        Contrast(
            strata=tuple(scores[name].stratum(weights[name]) for name in names), test="permutation"
        )
        for names in tasks_by_suite.values()
    ]
    outcomes = judge(contrasts, margin=config.margin, alpha=config.alpha)
    return tuple(
        SuiteComparison(
            suite=suite,
            num_tasks=len(names),
            num_items=sum(len(scores[name].a) for name in names),
            partial=a.suites[suite].partial,
            score_a=sum(weights[name] * float(scores[name].a.mean()) for name in names),
            score_b=sum(weights[name] * float(scores[name].b.mean()) for name in names),
            outcome=outcome,
        )
        for (suite, names), outcome in zip(tasks_by_suite.items(), outcomes, strict=True)
    )


def _paired_scores(
    a: EvaluationResult, b: EvaluationResult, name: str, config: ComparisonConfig
) -> _PairedScores:
    items_a, items_b = a.item_scores[name], b.item_scores[name]
    scores_a, scores_b = (np.array(items.scores, dtype=float) for items in (items_a, items_b))
    if config.clean:
        contaminated = np.array([items_a.contaminated, items_b.contaminated], dtype=bool).any(0)
        scores_a, scores_b = scores_a[~contaminated], scores_b[~contaminated]
    return _PairedScores(a=scores_a, b=scores_b)


def _weights_in_suite(a: EvaluationResult, suite: str, names: Sequence[str]) -> dict[str, float]:
    """Return each task's share of the suite's average.

    A task whose items are all excluded has no share: the other tasks of its unit share the unit's
    weight. If the unit has no task left, the other units share the suite's weight.
    """
    tasks = [task for task in a.evaluation.tasks if task.suite == suite]
    if len(names) == len(tasks):
        return {task.task: task.weight_in_suite for task in tasks}
    units: dict[str, list[str]] = defaultdict(list)
    for name in names:
        units[a.tasks[name].unit].append(name)
    return {name: 1 / len(units) / len(unit) for unit in units.values() for name in unit}


def _merge_outcome(row: TaskComparison | SuiteComparison) -> dict[str, Any]:
    values = dict(vars(row))
    outcome: PairedOutcome = values.pop("outcome")
    return {**values, **outcome.to_dict()}
