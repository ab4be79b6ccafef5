"""The evaluation record: tasks, suites and their averages, from what each item scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from models.evaluation.samples import PreparedTask
from models.evaluation.statistics import macro, mean_and_error, normalised
from models.evaluation.suite import Suite
from models.evaluation.tasks import VERSION

MAXIMUM = 1.0
"""Of every metric in use."""

COUNTED = {
    "truncated": "prompts were longer than the model's input and lost their start",
    "unfinished": "answers did not end before the longest length",
    "empty": "answers are empty",
    "unanswered": "texts hold no answer of the kind that was asked for",
    "without_tokens": "items have an option without a token, which no model can give",
}
"""What can be wrong with answers; each is counted, and told."""


def task_record(asked: PreparedTask, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One task of evaluation.json."""
    suite, task = asked.suite, asked.task
    accuracy, error = mean_and_error([row["score"] for row in rows])
    chance = sum(row["random_score"] for row in rows) / len(rows)
    clean = [row["score"] for row in rows if not row["contaminated"]]
    others = ("exact_match", "f1")
    return {
        "task": task.name,
        "suite": suite.name,
        "group": task.group,
        # Tasks of one unit count once in the suite's average.
        "unit": suite.unit(task.name),
        "version": VERSION,
        "answer": suite.answer,
        "metric": suite.metric,
        "shots": suite.shots,
        "exemplars_left_out": sum(row["exemplars_left_out"] for row in rows),
        "max_new_tokens": asked.max_new_tokens,
        "n": len(rows),
        "contaminated": len(rows) - len(clean),
        "partial": bool(task.partial),
        "partial_reason": task.partial,
        "accuracy": round(accuracy, 6),
        "error": round(error, 6),
        "random_score": round(chance, 6),
        "maximum": MAXIMUM,
        "normalised": round(normalised(accuracy, chance, MAXIMUM), 3),
        "clean": _clean(clean),
        "also": {
            name: _rounded(*mean_and_error([row[name] for row in rows]))
            for name in others
            if rows[0][name] is not None
        },
        "refused": task.refused,
        "counts": {name: sum(row[name] for row in rows) for name in COUNTED},
        "flops_per_item": round(sum(row["flops"] for row in rows) / len(rows)),
        "file_sha256": task.sha256,
    }


def suite_record(suite: Suite, tasks: list[dict[str, Any]], missing: list[str]) -> dict[str, Any]:
    """A suite: the mean over its tasks, each counting the same, merged ones once."""
    accuracy, error = _average(tasks, "accuracy", "error")
    groups = list(dict.fromkeys(task["group"] for task in tasks if task["group"]))
    reasons = {task["partial_reason"] for task in tasks if task["partial"]}
    if missing:
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        reasons.add(f"{shown} missing")
    chance, _ = _average(tasks, "random_score", "error")
    points, points_error = _points(tasks)
    clean_tasks = [task for task in tasks if task["clean"]["n"]]
    clean = [{**task["clean"], "unit": task["unit"]} for task in clean_tasks]
    return {
        "suite": suite.name,
        "title": suite.title,
        "averaged": suite.averaged,
        "tasks": len(tasks),
        "missing": missing,
        "n": sum(task["n"] for task in tasks),
        "contaminated": sum(task["contaminated"] for task in tasks),
        "partial": bool(reasons),
        "partial_reason": "; ".join(sorted(reasons)),
        "accuracy": round(accuracy, 6),
        "error": round(error, 6),
        "random_score": round(chance, 6),
        "normalised": points,
        "normalised_error": points_error,
        "clean": {
            "n": sum(task["n"] for task in clean),
            **(_rounded(*_average(clean, "accuracy", "error")) if clean else {}),
        },
        "groups": [
            {"group": group, "tasks": len(members), "partial": bool(reasons)}
            | _rounded(*macro([t["accuracy"] for t in members], [t["error"] for t in members]))
            for group in groups
            for members in [[task for task in tasks if task["group"] == group]]
        ],
        "flops_per_item": round(
            sum(task["flops_per_item"] * task["n"] for task in tasks)
            / sum(task["n"] for task in tasks)
        ),
    }


def summary(suites: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """The averages of everything scored. The normalised one is over the suites that the paper
    averages, where any of them was scored; else over all."""
    accuracy, error = macro([s["accuracy"] for s in suites], [s["error"] for s in suites])
    averaged = [suite for suite in suites if suite["averaged"]] or suites
    points, points_error = macro(
        [s["normalised"] for s in averaged], [s["normalised_error"] for s in averaged]
    )
    items = sum(task["n"] for task in tasks)
    return {
        "accuracy": round(accuracy, 6),
        "error": round(error, 6),
        "chance": round(sum(suite["random_score"] for suite in suites) / len(suites), 6),
        "normalised": round(points, 3),
        "normalised_error": round(points_error, 3),
        "normalised_of": [suite["suite"] for suite in averaged],
        "partial": any(suite["partial"] for suite in suites),
        "flops_per_item": round(sum(t["flops_per_item"] * t["n"] for t in tasks) / items),
    }


def warnings(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """What went wrong with answers: a line for each kind and suite."""
    for suite in dict.fromkeys(task["suite"] for task in tasks):
        members = [task for task in tasks if task["suite"] == suite]
        items = sum(task["n"] for task in members)
        for kind, text in COUNTED.items():
            found = sum(task["counts"][kind] for task in members)
            if found:
                yield f"{suite}: {found} of {items} {text}"
        left_out = sum(task["exemplars_left_out"] for task in members)
        if left_out:
            yield f"{suite}: {left_out} worked examples did not fit and were left out"


def _average(tasks: list[dict[str, Any]], value: str, error: str) -> tuple[float, float]:
    """Mean of `value` over tasks; those of one unit are averaged first."""
    units: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task in tasks:
        units[task["unit"]].append(task)
    means = [macro([t[value] for t in unit], [t[error] for t in unit]) for unit in units.values()]
    return macro([mean for mean, _ in means], [spread for _, spread in means])


def _points(tasks: list[dict[str, Any]]) -> tuple[float, float]:
    """Normalised average of a suite and its error."""
    scaled = [
        {
            "unit": task["unit"],
            "points": task["normalised"],
            "error": 100 * task["error"] / (MAXIMUM - task["random_score"]),
        }
        for task in tasks
    ]
    points, error = _average(scaled, "points", "error")
    return round(points, 3), round(error, 3)


def _clean(scores: Sequence[float]) -> dict[str, Any]:
    """The score without the items that the training mixture overlaps with."""
    if not scores:
        return {"n": 0}
    return {"n": len(scores), **_rounded(*mean_and_error(scores))}


def _rounded(accuracy: float, error: float) -> dict[str, float]:
    return {"accuracy": round(accuracy, 6), "error": round(error, 6)}
