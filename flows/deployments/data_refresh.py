"""The deployment `data_refresh`: bring the data up to date, and report how it changed.

The stages are those that `pack` needs. The new data version is compared with the one of the newest
registered version; a large difference raises an event that alerts are sent for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from data_pipelines.drift import DriftLimits
from flows.deployments.drift import report_drift
from flows.runtime.pipeline import pipeline

DATA_STAGES = ("eval_data", "pack")


@flow(name="data_refresh", persist_result=False)
def data_refresh(workspace: Path, limits: DriftLimits = DriftLimits()) -> State[Any]:  # noqa: B008
    """Run the data stages and compare the data with that of the newest version.

    Args:
        workspace: folder with dvc.yaml and params.yaml.
        limits: how far shares, lengths and labels may move before an alert is sent.

    Returns:
        Completed, with the change of the data as message.
    """
    state = pipeline(workspace, targets=DATA_STAGES, return_state=True)
    if not state.is_completed():
        return state
    return Completed(message=report_drift(workspace, limits))
