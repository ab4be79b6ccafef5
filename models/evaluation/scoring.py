"""Scores of tasks and suites from the results of their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from models.evaluation.averages import TaskAverage, mean_and_standard_error, normalised_score
from models.evaluation.evaluation_record import (
    CleanScore,
    GroupScore,
    MetricScore,
    OverallScore,
    SuiteScore,
    TaskScore,
    sum_or_none,
)
from models.evaluation.harness_tasks import SCORING_VERSION
from models.evaluation.problems import PROBLEMS
from models.evaluation.samples import PreparedTask, SampleRow
from models.evaluation.suite import Suite

MAXIMUM = 1.0
"""Best score of every metric."""

MAX_REASONS = 4
"""Number of tasks whose reasons a suite repeats; the others are counted."""


def score_evaluation(
    suites: Sequence[Suite],
    tasks: Sequence[PreparedTask],
    rows: Sequence[Sequence[SampleRow]],
    missing: Mapping[str, list[str]],
) -> tuple[OverallScore, list[SuiteScore], list[TaskScore]]:
    """Compute all scores of an evaluation.

    Args:
        suites: the suites.
        tasks: all tasks of all suites.
        rows: the results of each task's items.
        missing: suite name -> names of its tasks without a file.

    Returns:
        The means over suites, one score per suite, and one score per task.
    """
    weight_in_suite: dict[str, Fraction] = {}
    for suite in suites:
        names = [task.name for task in tasks if task.suite.name == suite.name]
        average = TaskAverage.over([suite.averaging_unit(name) for name in names])
        weight_in_suite |= zip(names, average.weights, strict=True)
    suite_weight = Fraction(1, len(suites))
    task_scores = [
        score_task(task, task_rows, weight_in_suite[task.name], suite_weight)
        for task, task_rows in zip(tasks, rows, strict=True)
    ]
    suite_scores = [
        score_suite(
            suite,
            [task for task in task_scores if task.suite == suite.name],
            missing[suite.name],
            suite_weight,
        )
        for suite in suites
    ]
    return score_overall(suite_scores, task_scores), suite_scores, task_scores


def score_task(
    prepared: PreparedTask,
    rows: Sequence[SampleRow],
    weight_in_suite: Fraction,
    suite_weight: Fraction,
) -> TaskScore:
    """Average the items of a task.

    Args:
        prepared: the task.
        rows: the results of its items.
        weight_in_suite: share of the task in its suite's accuracy.
        suite_weight: share of the suite in the overall accuracy.

    Returns:
        The task's score.
    """
    suite, task = prepared.suite, prepared.task
    accuracy, standard_error = mean_and_standard_error([row.score for row in rows])
    random_score = sum(row.random_score for row in rows) / len(rows)
    is_known = all(row.contaminated is not None for row in rows)
    clean_scores = [row.score for row in rows if row.contaminated is False]
    return TaskScore(
        task=task.name,
        suite=suite.name,
        group=task.group,
        unit=suite.averaging_unit(task.name),
        weight=float(weight_in_suite * suite_weight),
        weight_in_suite=float(weight_in_suite),
        version=SCORING_VERSION,
        answer=suite.answer_mode,
        metric=suite.metric,
        num_fewshot=suite.num_fewshot,
        num_exemplars=sum(row.num_exemplars for row in rows),
        num_exemplars_dropped=sum(row.num_exemplars_dropped for row in rows),
        max_new_tokens=prepared.max_new_tokens,
        num_items=len(rows),
        num_contaminated=len(rows) - len(clean_scores) if is_known else None,
        source_file=task.source_file,
        split=task.split,
        num_published=task.num_published,
        partial=bool(task.partial_reason),
        partial_reason=task.partial_reason,
        accuracy=round(accuracy, 6),
        standard_error=round(standard_error, 6),
        random_score=round(random_score, 6),
        maximum=MAXIMUM,
        normalised=round(normalised_score(accuracy, random_score, MAXIMUM), 3),
        clean=_clean_task_score(clean_scores),
        other_metrics=_other_metrics(rows),
        num_rejected=task.num_rejected,
        counts={problem: sum(getattr(row, problem) for row in rows) for problem in PROBLEMS},
        flops_per_item=round(sum(row.flops for row in rows) / len(rows)),
        file_sha256=task.sha256,
    )


def score_suite(
    suite: Suite,
    tasks: Sequence[TaskScore],
    missing: list[str],
    suite_weight: Fraction,
) -> SuiteScore:
    """Average the tasks of a suite.

    Args:
        suite: the suite.
        tasks: the scores of its tasks.
        missing: names of its tasks without a file.
        suite_weight: share of the suite in the overall accuracy.

    Returns:
        The suite's score.
    """
    partial_reason = _suite_partial_reason(tasks, missing)
    average = TaskAverage.over([task.unit for task in tasks])
    normalised_errors = [100 * t.standard_error / (MAXIMUM - t.random_score) for t in tasks]
    return SuiteScore(
        suite=suite.name,
        title=suite.title,
        protocol=suite.protocol,
        averaged=suite.in_normalized_average,
        weight=float(suite_weight),
        num_tasks=len(tasks),
        missing=missing,
        num_items=sum(task.num_items for task in tasks),
        num_contaminated=sum_or_none(task.num_contaminated for task in tasks),
        partial=bool(partial_reason),
        partial_reason=partial_reason,
        accuracy=round(average.mean([task.accuracy for task in tasks]), 6),
        standard_error=round(average.standard_error([task.standard_error for task in tasks]), 6),
        random_score=round(average.mean([task.random_score for task in tasks]), 6),
        normalised=round(average.mean([task.normalised for task in tasks]), 3),
        normalised_standard_error=round(average.standard_error(normalised_errors), 3),
        clean=_clean_suite_score(tasks),
        groups=[
            _score_group(
                group,
                [task for task in tasks if task.group == group],
                is_partial=bool(partial_reason),
            )
            for group in dict.fromkeys(task.group for task in tasks if task.group)
        ],
        flops_per_item=_mean_flops(tasks),
    )


def score_overall(suites: Sequence[SuiteScore], tasks: Sequence[TaskScore]) -> OverallScore:
    """Average the suites of an evaluation, each with the same weight.

    The normalised average is over the suites of the paper if any of them is scored, otherwise over
    all suites.
    """
    average = TaskAverage.over([suite.suite for suite in suites])
    normalised_suites = [suite for suite in suites if suite.averaged] or suites
    normalised_average = TaskAverage.over([suite.suite for suite in normalised_suites])
    normalised_errors = [suite.normalised_standard_error for suite in normalised_suites]
    return OverallScore(
        accuracy=round(average.mean([suite.accuracy for suite in suites]), 6),
        standard_error=round(average.standard_error([s.standard_error for s in suites]), 6),
        random_score=round(average.mean([suite.random_score for suite in suites]), 6),
        normalised=round(normalised_average.mean([s.normalised for s in normalised_suites]), 3),
        normalised_standard_error=round(normalised_average.standard_error(normalised_errors), 3),
        normalised_suites=[suite.suite for suite in normalised_suites],
        partial=any(suite.partial for suite in suites),
        flops_per_item=_mean_flops(tasks),
    )


def _suite_partial_reason(tasks: Sequence[TaskScore], missing: list[str]) -> str:
    """Return why a suite is partial: the reasons of its tasks, then the tasks that are missing."""
    partial = [task for task in tasks if task.partial]
    reasons = [
        f"{task.task.split('/', 1)[1]}: {task.partial_reason}" for task in partial[:MAX_REASONS]
    ]
    if len(partial) > MAX_REASONS:
        reasons.append(f"{len(partial) - MAX_REASONS} further tasks are partial")
    if missing:
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        reasons.append(f"{names} missing")
    return "; ".join(reasons)


def _score_group(group: str, tasks: Sequence[TaskScore], *, is_partial: bool) -> GroupScore:
    """Average the tasks of one category, each with the same weight."""
    average = TaskAverage.over([task.task for task in tasks])
    return GroupScore(
        group=group,
        num_tasks=len(tasks),
        partial=is_partial,
        accuracy=round(average.mean([task.accuracy for task in tasks]), 6),
        standard_error=round(average.standard_error([task.standard_error for task in tasks]), 6),
    )


def _other_metrics(rows: Sequence[SampleRow]) -> dict[str, MetricScore]:
    """Average the further metrics of a task's rows; all rows have the same."""
    scores = {}
    for name in ("exact_match", "f1"):
        if getattr(rows[0], name) is not None:
            mean, standard_error = mean_and_standard_error([getattr(row, name) for row in rows])
            scores[name] = MetricScore(
                accuracy=round(mean, 6), standard_error=round(standard_error, 6)
            )
    return scores


def _clean_task_score(scores: Sequence[float]) -> CleanScore:
    if not scores:
        return CleanScore(num_items=0, accuracy=None, standard_error=None)
    mean, standard_error = mean_and_standard_error(scores)
    return CleanScore(
        num_items=len(scores), accuracy=round(mean, 6), standard_error=round(standard_error, 6)
    )


def _clean_suite_score(tasks: Sequence[TaskScore]) -> CleanScore:
    """Average the clean scores; tasks without a clean item leave their weight to the others."""
    accuracies, errors, units = [], [], []
    for task in tasks:
        if task.clean.accuracy is not None and task.clean.standard_error is not None:
            accuracies.append(task.clean.accuracy)
            errors.append(task.clean.standard_error)
            units.append(task.unit)
    if not units:
        return CleanScore(num_items=0, accuracy=None, standard_error=None)
    average = TaskAverage.over(units)
    return CleanScore(
        num_items=sum(task.clean.num_items for task in tasks),
        accuracy=round(average.mean(accuracies), 6),
        standard_error=round(average.standard_error(errors), 6),
    )


def _mean_flops(tasks: Sequence[TaskScore]) -> int:
    """Average the FLOPs over items."""
    num_items = sum(task.num_items for task in tasks)
    return round(sum(task.flops_per_item * task.num_items for task in tasks) / num_items)
