"""The deployment `evaluate_all`: evaluate every run of a workspace and register the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.runtime.pipeline import PipelineResult, pipeline


@flow(name="evaluate_all", persist_result=False)
def evaluate_all(workspace: Path) -> State[Any]:
    """Bring the evaluation of every run up to date and register it; the champion stays.

    Args:
        workspace: folder with dvc.yaml and params.yaml.

    Returns:
        Completed, with the numbers of the versions.
    """
    state = pipeline(workspace, promote=False, return_state=True)
    if not state.is_completed():
        return state
    result = state.result()
    assert isinstance(result, PipelineResult)
    return Completed(data=[version.version for version in result.versions])
