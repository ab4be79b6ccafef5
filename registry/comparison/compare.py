"""Comparison of two evaluations: scores by task and suite, and the compute of each model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.comparison.costs import CostComparison, compare_costs
from registry.comparison.matching import check_replicates, common_tasks
from registry.comparison.pairing import Bools, pair_results
from registry.comparison.param_differences import ParamDifference, list_param_differences
from registry.comparison.precision import precision_warnings
from registry.comparison.recipe import recipe_differences
from registry.comparison.results import EvaluationResult, Evaluations, name_model
from registry.comparison.sequential import SequentialOutcome, judge_sequentially
from registry.comparison.variance_components import Floats, PairedSample
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
    sequential: bool = False
    """Whether to find after how many items in random order the verdict on a suite was clear."""


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One side of a comparison."""

    label: str
    name: str
    preset: str
    is_moe: bool
    weights_sha256: str
    """Of the first seed."""
    partial: bool
    seeds: tuple[int, ...]

    @classmethod
    def from_results(cls, results: Evaluations) -> ComparedModel:
        """Describe a model by the evaluations of its seeds."""
        first = results[0]
        return cls(
            label=name_model(results),
            name=first.run.name,
            preset=first.run.preset,
            is_moe=first.run.is_moe,
            weights_sha256=first.run.weights_sha256,
            partial=any(result.evaluation.partial for result in results),
            seeds=tuple(result.run.seed for result in results),
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
    sequential: SequentialOutcome | None
    """None unless `ComparisonConfig.sequential` is set."""

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
    param_differences: tuple[ParamDifference, ...]
    """Parameters of training and model that differ, of the first seed."""
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
            "param_differences": [vars(difference) for difference in self.param_differences],
            "margin": self.config.margin,
            "alpha": self.config.alpha,
            "clean": self.config.clean,
            "warnings": list(self.warnings),
            "suites": [suite.to_dict() for suite in self.suites],
            "tasks": [task.to_dict() for task in self.tasks],
        }


def compare(a: Evaluations, b: Evaluations, config: ComparisonConfig) -> Comparison:
    """Compare two models with paired tests.

    Args:
        a: the model that the verdicts are about: an evaluation, or one per seed.
        b: the model it is compared with.
        config: suites, margin and significance level.

    Raises:
        NotComparable: the evaluations used different items, prompts or settings, or a side's runs
            differ in more than their seed; the message names the first difference.
    """
    for results in (a, b):
        check_replicates(results)
    names = common_tasks(a[0], b[0], config.suites)
    excluded = _contaminated_items([*a, *b], names) if config.clean else None
    if excluded is not None:
        names = [name for name in names if not excluded[name].all()]
    label_a, label_b = name_model(a), name_model(b)
    if not names:
        raise NotComparable(
            f"{label_a} and {label_b}: every item overlaps with a training mixture, so nothing "
            "remains to compare; compare without --clean"
        )
    tasks_by_suite: dict[str, list[str]] = defaultdict(list)
    for name in names:
        tasks_by_suite[a[0].tasks[name].suite].append(name)
    sample = pair_results(a, b, weights=dict.fromkeys(names, 1.0), excluded=excluded)
    scores = _PairedTasks(names=tuple(names), sample=sample)
    first = (a[0].label, a[0].evaluation)
    warnings = (
        line
        for result in (*a[1:], *b)
        for line in precision_warnings(first, (result.label, result.evaluation))
    )
    return Comparison(
        a=ComparedModel.from_results(a),
        b=ComparedModel.from_results(b),
        costs=compare_costs(a, b),
        recipe_differences=tuple(
            recipe_differences(a[0].run, b[0].run, ignore_seeds=max(len(a), len(b)) > 1)
        ),
        param_differences=tuple(list_param_differences(a[0].run, b[0].run)),
        config=config,
        warnings=tuple(warnings),
        suites=_compare_suites(a[0], tasks_by_suite, scores, config),
        tasks=_compare_tasks(a[0], scores, config),
    )


@dataclass(frozen=True, kw_only=True)
class _PairedTasks:
    """Scores of both models on the same tasks."""

    names: tuple[str, ...]
    sample: PairedSample

    def select(self, weights: Mapping[str, float]) -> PairedSample:
        """Return the items of some tasks with their shares in an average."""
        tasks = [self.names.index(name) for name in weights]
        return self.sample.select(tasks, list(weights.values()))


def _mean_score(sample: PairedSample, scores_SN: Floats) -> float:
    return float(sample.item_weights @ scores_SN.mean(0))


def _compare_tasks(
    a: EvaluationResult, scores: _PairedTasks, config: ComparisonConfig
) -> tuple[TaskComparison, ...]:
    samples = [scores.select({name: 1.0}) for name in scores.names]
    contrasts = [
        Contrast(sample=sample, is_graded=a.tasks[name].metric == "rouge_l")
        for name, sample in zip(scores.names, samples, strict=True)
    ]
    outcomes = judge(contrasts, margin=config.margin, alpha=config.alpha)
    return tuple(
        TaskComparison(
            task=name,
            suite=a.tasks[name].suite,
            num_items=len(sample.task_N),
            score_a=_mean_score(sample, sample.scores_a_SN),
            score_b=_mean_score(sample, sample.scores_b_SN),
            outcome=outcome,
        )
        for name, sample, outcome in zip(scores.names, samples, outcomes, strict=True)
    )


def _compare_suites(
    a: EvaluationResult,
    tasks_by_suite: Mapping[str, Sequence[str]],
    scores: _PairedTasks,
    config: ComparisonConfig,
) -> tuple[SuiteComparison, ...]:
    samples = [
        scores.select(_weights_in_suite(a, suite, names)) for suite, names in tasks_by_suite.items()
    ]
    contrasts = [Contrast(sample=sample, is_graded=True) for sample in samples]
    outcomes = judge(contrasts, margin=config.margin, alpha=config.alpha)
    return tuple(
        SuiteComparison(
            suite=suite,
            num_tasks=len(names),
            num_items=len(sample.task_N),
            partial=a.suites[suite].partial,
            score_a=_mean_score(sample, sample.scores_a_SN),
            score_b=_mean_score(sample, sample.scores_b_SN),
            outcome=outcome,
            sequential=judge_sequentially(
                sample, margin=config.margin, alpha=config.alpha / len(samples)
            )
            if config.sequential
            else None,
        )
        for (suite, names), sample, outcome in zip(
            tasks_by_suite.items(), samples, outcomes, strict=True
        )
    )


def _contaminated_items(results: Evaluations, names: Sequence[str]) -> dict[str, Bools]:
    """Return which items of each task overlap with the training mixture of any of the models."""
    for result in results:
        if any(result.tasks[name].num_contaminated is None for name in names):
            reason = "its training data is unknown, so is its overlap; compare without --clean"
            raise NotComparable(f"{result.label}: {reason}")
    return {
        name: np.asarray(np.array(columns, dtype=bool).any(axis=0))
        for name in names
        for columns in [[result.item_scores[name].contaminated for result in results]]
    }


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
    sequential: SequentialOutcome | None = values.pop("sequential", None)
    added = {"sequential": sequential.to_dict()} if sequential else {}
    return {**values, **outcome.to_dict(), **added}
