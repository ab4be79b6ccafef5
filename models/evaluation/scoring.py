"""Scores of tasks and suites from the results of their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from models.evaluation.samples import PreparedTask, SampleRow
from models.evaluation.suite import Suite

MAXIMUM = 1.0
"""Best score of every metric."""

PROBLEMS = {
    "truncated": "prompts exceed the model's input and lost their start",
    "unknown_pieces": "prompts have characters that the tokenizer does not know",
    "unfinished": "answers reached the maximum length without ending",
    "empty": "answers are empty",
    "unanswered": "generated texts contain no answer of the expected form, or several",
    "ambiguous": "generated texts contain several answers, so that none of them counts",
    "without_tokens": "items have an option without tokens, which no model can choose",
}
"""Flag of a sample row -> the warning about it; the record counts each."""


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
        num_exemplars_dropped=sum(row.num_exemplars_dropped for row in rows),
        max_new_tokens=prepared.max_new_tokens,
        num_items=len(rows),
        num_contaminated=len(rows) - len(clean_scores) if is_known else None,
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
    reasons = {task.partial_reason for task in tasks if task.partial}
    if missing:
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        reasons.add(f"{names} missing")
    average = TaskAverage.over([task.unit for task in tasks])
    normalised_errors = [100 * t.standard_error / (MAXIMUM - t.random_score) for t in tasks]
    return SuiteScore(
        suite=suite.name,
        title=suite.title,
        averaged=suite.in_normalized_average,
        weight=float(suite_weight),
        num_tasks=len(tasks),
        missing=missing,
        num_items=sum(task.num_items for task in tasks),
        num_contaminated=sum_or_none(task.num_contaminated for task in tasks),
        partial=bool(reasons),
        partial_reason="; ".join(sorted(reasons)),
        accuracy=round(average.mean([task.accuracy for task in tasks]), 6),
        standard_error=round(average.standard_error([task.standard_error for task in tasks]), 6),
        random_score=round(average.mean([task.random_score for task in tasks]), 6),
        normalised=round(average.mean([task.normalised for task in tasks]), 3),
        normalised_standard_error=round(average.standard_error(normalised_errors), 3),
        clean=_clean_suite_score(tasks),
        groups=[
            _score_group(
                group, [task for task in tasks if task.group == group], is_partial=bool(reasons)
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


def problem_warnings(tasks: Sequence[TaskScore]) -> Iterator[str]:
    """Yield a line for each suite and kind of problem with its prompts or answers."""
    for suite in dict.fromkeys(task.suite for task in tasks):
        members = [task for task in tasks if task.suite == suite]
        num_items = sum(task.num_items for task in members)
        for problem, message in PROBLEMS.items():
            count = sum(task.counts[problem] for task in members)
            if count:
                yield f"{suite}: {count} of {num_items} {message}"
        num_dropped = sum(task.num_exemplars_dropped for task in members)
        if num_dropped:
            yield f"{suite}: {num_dropped} few-shot exemplars did not fit and were dropped"


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
