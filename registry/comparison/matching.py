"""Whether evaluations are comparable: the same tasks, items, prompts and settings."""

from __future__ import annotations

from collections.abc import Sequence

from registry.comparison.recipe import replicate_differences
from registry.comparison.results import EvaluationResult
from registry.errors import NotComparable
from registry.schemas import TaskScoreSchema

MUST_MATCH = (
    "version",
    "file_sha256",
    "metric",
    "answer",
    "num_fewshot",
    "max_new_tokens",
    "num_items",
)
"""Fields of a task's record that must be equal in both evaluations."""


def common_tasks(a: EvaluationResult, b: EvaluationResult, suites: Sequence[str] = ()) -> list[str]:
    """Return the tasks to compare, in A's order, after checking that both were evaluated alike.

    Args:
        a: one evaluation.
        b: the other evaluation.
        suites: suites to compare; empty: all that were evaluated.

    Raises:
        NotComparable: the evaluations used different items, prompts or settings; the message
            names the first difference.
    """
    for suite in suites:
        for result in (a, b):
            if suite not in result.suites:
                raise NotComparable(
                    f"{result.label} was not evaluated on {suite!r}; its suites are "
                    f"{', '.join(result.suites)}"
                )

    def selected(result: EvaluationResult) -> list[TaskScoreSchema]:
        tasks = result.evaluation.tasks
        return [task for task in tasks if not suites or task.suite in suites]

    names_a, names_b = ([task.task for task in selected(result)] for result in (a, b))
    differences = [f"{name}: only in {a.label}" for name in names_a if name not in names_b]
    differences += [f"{name}: only in {b.label}" for name in names_b if name not in names_a]
    for name in names_a:
        if name in names_b:
            difference = _first_difference(a, b, name)
            differences += [difference] if difference else []
    if differences:
        count = f" ({len(differences)} tasks differ)" if len(differences) > 1 else ""
        raise NotComparable(
            f"{a.label} and {b.label} were not evaluated alike: {differences[0]}{count}; evaluate "
            "both with the same params, or select a common suite with --suite"
        )
    return names_a


def check_replicates(results: Sequence[EvaluationResult]) -> None:
    """Check that runs differ in their seed only, so that they count as replicates of one model.

    Raises:
        NotComparable: a seed repeats, or the runs differ in more than their seed.
    """
    first = results[0]
    label_by_seed: dict[int, str] = {}
    for result in results:
        seed = result.run.seed
        if seed in label_by_seed:
            raise NotComparable(
                f"{result.label}: seed {seed} is also that of {label_by_seed[seed]}; replicates "
                "need different seeds, so name one of the two"
            )
        label_by_seed[seed] = result.label
    for result in results[1:]:
        differences = replicate_differences(first.run, result.run)
        if differences:
            raise NotComparable(
                f"{first.label} and {result.label} are no replicates: {differences[0]}; compare "
                "runs that differ in their seed only"
            )


def _first_difference(a: EvaluationResult, b: EvaluationResult, name: str) -> str:
    """Describe the first difference between two evaluations of a task; empty without one."""
    for field in MUST_MATCH:
        value_a, value_b = getattr(a.tasks[name], field), getattr(b.tasks[name], field)
        if value_a != value_b:
            return f"{name}: {field} is {value_a!r} and {value_b!r}"
    items_a, items_b = a.item_scores[name], b.item_scores[name]
    for column, noun in (("ids", "items"), ("prompt_sha256", "prompts")):
        values_a, values_b = getattr(items_a, column), getattr(items_b, column)
        if values_a != values_b:
            pairs = zip(values_a, values_b, strict=True)
            differing = [i for i, (value_a, value_b) in enumerate(pairs) if value_a != value_b]
            return (
                f"{name}: {len(differing)} of {len(items_a.ids)} {noun} differ, first "
                f"{items_a.ids[differing[0]]!r}"
            )
    return ""
