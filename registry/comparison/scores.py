"""Scores by which models are ordered and plotted: overall, normalised, of a suite or of a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.schemas import EvaluationRecordSchema, TaskScoreSchema

OVERALL = "score"
NORMALISED = "normalised"


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score of an evaluation as a weighted sum of its tasks' scores."""

    value: float
    """A share of the maximum; of the normalised average, a hundredth of its usual value."""
    standard_error: float
    """Over items."""
    random_score: float
    partial: bool
    weights: Mapping[str, float]
    """By task; their sum exceeds 1 for the normalised average."""


def score_names(evaluation: EvaluationRecordSchema) -> list[str]:
    """Return the names of the scores of an evaluation.

    Returns:
        `score`, `normalised`, `suite.NAME` for each suite and `group.SUITE/NAME` for each group,
        such as the STEM subjects of MMLU.
    """
    return [
        OVERALL,
        *([NORMALISED] if evaluation.normalised_suites else []),
        *(f"suite.{suite.suite}" for suite in evaluation.suites),
        *(
            f"group.{suite.suite}/{group.group}"
            for suite in evaluation.suites
            for group in suite.groups
        ),
    ]


def describe_score(name: str) -> str:
    """Return a name of `score_names` as the title of an axis."""
    if name == OVERALL:
        return "Accuracy, mean of all suites"
    if name == NORMALISED:
        return "Normalised average (0: random answers, 100: all right)"
    return f"Accuracy, {name.partition('.')[2]}"


def read_score(evaluation: EvaluationRecordSchema, name: str) -> Score | None:
    """Return a score of an evaluation; None if it has no such score.

    Args:
        evaluation: the evaluation.
        name: one of `score_names`.
    """
    if name not in score_names(evaluation):
        return None
    if name == OVERALL:
        return Score(
            value=evaluation.accuracy,
            standard_error=evaluation.standard_error,
            random_score=evaluation.random_score,
            partial=evaluation.partial,
            weights={task.task: task.weight for task in evaluation.tasks},
        )
    if name == NORMALISED:
        return Score(
            value=evaluation.normalised / 100,
            standard_error=evaluation.normalised_standard_error / 100,
            random_score=0.0,
            partial=evaluation.partial,
            weights=_normalised_weights(evaluation),
        )
    kind, _, key = name.partition(".")
    if kind == "suite":
        suite = next(suite for suite in evaluation.suites if suite.suite == key)
        tasks = [task for task in evaluation.tasks if task.suite == key]
        return Score(
            value=suite.accuracy,
            standard_error=suite.standard_error,
            random_score=suite.random_score,
            partial=suite.partial,
            weights={task.task: task.weight_in_suite for task in tasks},
        )
    return _group_score(evaluation, key)


def _group_score(evaluation: EvaluationRecordSchema, key: str) -> Score:
    suite, group = next(
        (suite, group)
        for suite in evaluation.suites
        for group in suite.groups
        if f"{suite.suite}/{group.group}" == key
    )
    tasks = [
        task for task in evaluation.tasks if task.suite == suite.suite and task.group == group.group
    ]
    weights = {task.task: 1 / len(tasks) for task in tasks}
    return Score(
        value=group.accuracy,
        standard_error=group.standard_error,
        random_score=sum(weights[task.task] * task.random_score for task in tasks),
        partial=group.partial,
        weights=weights,
    )


def _normalised_weights(evaluation: EvaluationRecordSchema) -> dict[str, float]:
    """Return by how much the normalised average rises, as a share, with the score of each task."""
    suites = evaluation.normalised_suites

    def share(task: TaskScoreSchema) -> float:
        return task.weight_in_suite / len(suites) / (task.maximum - task.random_score)

    return {task.task: share(task) for task in evaluation.tasks if task.suite in suites}
