"""Assets in Prefect: which data, model and version a task produces, and from which others.

An asset is named `flanmoe://PROJECT/KIND/NAME`. Prefect records a materialization when a task that
produces it has run, and none when DVC found nothing changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ParamSpec, TypeVar

from prefect import Task
from prefect.assets import Asset
from prefect.tasks import MaterializingTask

P = ParamSpec("P")
R = TypeVar("R")
_INVALID = re.compile(r"[^A-Za-z0-9._-]+")
MIXTURE, PACKED, EVAL_DATA = "data/mixture", "data/packed", "data/eval_data"
_DATA: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "eval_data": (EVAL_DATA, ()),
    "mix": (MIXTURE, (EVAL_DATA,)),
    "pack": (PACKED, (MIXTURE,)),
}
"""Stage -> the asset it produces and those it uses."""


def materialize_stage(task: Task[P, R], workspace: Path, stage: str, start: str) -> Task[P, R]:
    """Return the task of a stage, which materializes the stage's asset if it has one.

    Args:
        task: the task that runs any stage.
        workspace: the folder whose name the assets have.
        stage: name in dvc.yaml.
        start: for `train@RUN`, the run that it starts from; empty from random weights.
    """
    kind, _, run = stage.partition("@")
    if stage in _DATA:
        produced, used = _DATA[stage]
    elif kind == "train":
        produced = f"runs/{run}"
        used = (PACKED, f"runs/{start}") if start else (PACKED,)
    elif kind == "evaluate":
        produced, used = f"evaluations/{run}", (f"runs/{run}", EVAL_DATA)
    else:
        return task
    return _materializing(task, workspace, produced, used, "dvc")


def materialize_version(task: Task[P, R], workspace: Path, model: str, run: str) -> Task[P, R]:
    """Return the task that registers a run as a version of a model."""
    used = (f"runs/{run}", f"evaluations/{run}")
    return _materializing(task, workspace, f"models/{model}/{run}", used, "flanmoe")


def _materializing(
    task: Task[P, R], workspace: Path, produced: str, used: tuple[str, ...], by: str
) -> MaterializingTask[P, R]:
    return MaterializingTask(
        fn=task.fn,
        assets=[_asset(workspace, produced)],
        asset_deps=[_asset(workspace, name) for name in used],
        materialized_by=by,
        name=task.name,
        cache_policy=task.cache_policy,
        persist_result=task.persist_result,
        retry_condition_fn=task.retry_condition_fn,
    )


def _asset(workspace: Path, name: str) -> Asset:
    parts = [_INVALID.sub("-", part) for part in (workspace.resolve().name, *name.split("/"))]
    return Asset(key="flanmoe://" + "/".join(part.strip("-") or "-" for part in parts))
