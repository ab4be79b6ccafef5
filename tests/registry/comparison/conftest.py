"""Versions with answers, for the frontier."""

from datetime import UTC, datetime

import numpy as np
import pytest

from registry.records import parse_evaluation_record, parse_run_record
from registry.speed_schema import SpeedSchema
from registry.versions import VersionInfo
from tests.registry.factories import (
    evaluation_record,
    run_record,
    task_score,
    write_samples,
)

NUM_ITEMS = 200


@pytest.fixture
def version(tmp_path):
    """Return a factory of versions whose answers are right with a chosen probability."""
    number = 0

    def create(name, flops, share, *, is_moe=False, file_sha256="b" * 64, speed=None,
               has_samples=True, seed=0, aliases=(), evaluation=None,
               **run):  # fmt: skip
        nonlocal number
        number += 1
        generator = np.random.default_rng(seed + number)
        scores_by_task = {
            task: [float(generator.random() < share) for _ in range(NUM_ITEMS)]
            for task in ("s/a", "s/b")
        }
        folder = tmp_path / f"{name}{number}"
        folder.mkdir()
        if has_samples:
            write_samples(folder / "samples.parquet", scores_by_task)
        tasks = [
            task_score(
                task, accuracy=float(np.mean(scores)), num_items=NUM_ITEMS, file_sha256=file_sha256
            )
            for task, scores in scores_by_task.items()
        ]
        run = run_record(
            name, is_moe=is_moe, flops_per_token=flops, **{"training_flops": 1e12, **run}
        )
        evaluation = evaluation_record(
            name, tasks, standard_error=0.02, flops_per_item=50 * flops, **(evaluation or {})
        )
        return VersionInfo(
            model="m",
            version=number,
            aliases=aliases,
            created_at=datetime(2030, 1, 1, tzinfo=UTC),
            artifact=str(folder),
            evaluation_artifact=str(folder),
            run_record=parse_run_record(run, name),
            evaluation=parse_evaluation_record(evaluation, name),
            speed=speed and SpeedSchema.model_validate(speed),
        )

    return create
