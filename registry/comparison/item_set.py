"""Identity of evaluation items: accuracies are comparable only on the same items."""

from __future__ import annotations

import hashlib

from registry.schemas import EvaluationRecordSchema


def item_set(record: EvaluationRecordSchema) -> set[tuple[str, int, str, int]]:
    """Return (task, scoring version, file checksum, number of items) of each task."""
    return {(task.task, task.version, task.file_sha256, task.num_items) for task in record.tasks}


def items_digest(record: EvaluationRecordSchema) -> str:
    """Return a digest that is equal for two evaluations of exactly the same items."""
    return hashlib.sha256(str(sorted(item_set(record))).encode()).hexdigest()[:12]
