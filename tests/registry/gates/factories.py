"""Evidence as the registry collects it, with values that a test chooses."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

from registry.comparison.results import read_result
from registry.gates.evidence import Evidence
from tests.registry.factories import dataset, edit_json, write_result

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEALTHY_LAYER = {
    "load": [0.25] * 4, "drop_share": 0.1, "balanced_drop_share": 0.0, "entropy": 1.0,
    "dead_experts": 0,
}  # fmt: skip


def right(num_right, num_items):
    """Return scores of which the first `num_right` are right."""
    return [1.0] * num_right + [0.0] * (num_items - num_right)


_numbers = itertools.count()


def evidence(version=1, scores=None, *, run=None, tasks=None, evaluation=None, **changes):
    """Return the evidence of a version that passes every gate by itself.

    Args:
        version: number of the version.
        scores: score of each item, by task.
        run: changes to the run record.
        tasks: changes to every task of the evaluation record.
        evaluation: changes to the evaluation record.
        changes: other fields of the evidence.
    """
    scores = scores or {"s/t": right(240, 400)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"run{next(_numbers)}"
        write_result(path, scores, run={"git_commit": COMMIT, **(run or {})})
        edit_json(path / "evaluation.json", lambda record: _change(record, tasks, evaluation))
        result = read_result(f"version {version}", path)
    return Evidence(version=version, result=result, **{"dataset": dataset(), **changes})


def _change(record, tasks, evaluation):
    for task in record["tasks"]:
        task.update(tasks or {})
    record.update(evaluation or {})
