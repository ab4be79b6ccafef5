"""Tables of a comparison of two models; scores in percent, differences in points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from dashboard import text
from registry.comparison.compare import Comparison, SuiteComparison, TaskComparison


def comparison_table(rows: Sequence[SuiteComparison | TaskComparison]) -> pd.DataFrame:
    """Return a row for each suite or task of a comparison; differences in points."""
    return pd.DataFrame(
        [
            {
                "label": text.name(row.title),
                "items": row.num_items,
                "A %": 100 * row.score_a,
                "B %": 100 * row.score_b,
                "difference": 100 * row.outcome.difference,
                "low": 100 * row.outcome.low,
                "high": 100 * row.outcome.high,
                "p, corrected": row.outcome.p_corrected,
                "verdict": row.outcome.verdict,
                "items needed": row.outcome.num_items_needed,
                "decides, points": 100 * decidable if decidable is not None else None,
                "basis": row.outcome.basis,
            }
            for row in rows
            for decidable in [row.outcome.decidable_difference]
        ]
    )


def subjects_table(tasks: Iterable[TaskComparison]) -> pd.DataFrame:
    """Return a row for each task of a comparison, with its suite and subject."""
    return pd.DataFrame(
        [
            {
                "suite": text.name(task.suite),
                "subject": text.name(task.task.partition("/")[2] or task.task),
                "difference": 100 * task.outcome.difference,
                "verdict": task.outcome.verdict,
            }
            for task in tasks
        ]
    )


def costs_table(compared: Comparison, labels: tuple[str, str]) -> pd.DataFrame:
    """Return a row for each cost of a comparison, in FLOPs."""
    return pd.DataFrame(
        [
            {
                "FLOPs": name.replace("_", " "),
                f"A, {labels[0]}": cost.a,
                f"B, {labels[1]}": cost.b,
                "A ÷ B": cost.ratio,
            }
            for name, cost in compared.costs.items()
        ]
    )


def params_table(compared: Comparison, labels: tuple[str, str]) -> pd.DataFrame:
    """Return a row for each parameter that differs."""
    return pd.DataFrame(
        [
            {
                "parameter": text.shorten(difference.path, 300),
                f"A, {labels[0]}": text.shorten(difference.a, 500),
                f"B, {labels[1]}": text.shorten(difference.b, 500),
            }
            for difference in compared.param_differences
        ]
    )
