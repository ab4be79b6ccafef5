"""The deployment `retrain_if_changed`: run the pipeline if data, parameters or code changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.runtime.graph import read_graph
from flows.runtime.pipeline import PipelineResult, pipeline
from flows.stages import digest


@flow(name="retrain_if_changed", persist_result=False)
def retrain_if_changed(workspace: Path, actor: str = "flow", promote: bool = True) -> State[Any]:
    """Run the pipeline unless DVC finds that nothing changed.

    Args:
        workspace: folder with dvc.yaml and params.yaml.
        actor: name that the registry records with a promotion.
        promote: whether to promote the best version; `promotion` waits for a person instead.

    Returns:
        Completed; with the name Unchanged if there was nothing to do.
    """
    digest.run(workspace)  # before DVC compares the code of the stages
    changed = read_graph(workspace).changed
    if not changed:
        return Completed(name="Unchanged", message="data, parameters and code are unchanged")
    state = pipeline(workspace, actor=actor, promote=promote, return_state=True)
    if not state.is_completed():
        return state
    result = state.result()
    assert isinstance(result, PipelineResult)
    return Completed(
        message=f"changed: {', '.join(sorted(changed))}; {result.decision.reason}",
        data=[version.version for version in result.versions],
    )
