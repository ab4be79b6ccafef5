"""The deployment `evaluate_all`: every registered version has scores on the present items.

The runs of the workspace are evaluated by their stages. Other versions have only their artifacts:
each whose items differ from those of the workspace is evaluated from its artifact.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.config.load import load_params
from flows.errors import StageFailed
from flows.runtime.pipeline import pipeline
from flows.runtime.processes import ProcessGroups
from flows.runtime.project_policy import open_project_registry
from flows.runtime.version_evaluation import evaluate_version
from flows.runtime.workspace import project_of
from registry.comparison.item_set import items_digest
from registry.errors import DamagedArtifact, MissingArtifact
from registry.records import read_evaluation_record
from registry.store import Registry
from registry.tables import VersionState


@flow(name="evaluate_all", persist_result=False)
def evaluate_all(workspace: Path) -> State[Any]:
    """Evaluate every version that was evaluated on other items; the champion stays.

    Versions that a person rejected, and former champions, are left out. A version that cannot be
    evaluated does not keep the others from it.

    Args:
        workspace: folder with dvc.yaml and params.yaml, of the present suites and items.

    Returns:
        Completed, with the numbers of the versions that were evaluated; or Failed, with the reason
        of each version that could not be.
    """
    state = pipeline(workspace, promote=False, return_state=True)
    if not state.is_completed():
        return state
    params = load_params(workspace / "params.yaml")
    model, folder = params.registry.model, params.models.replicates()[0].folder
    digest = items_digest(read_evaluation_record(workspace / folder / "evaluation.json"))
    registry = open_project_registry(project_of(workspace), params)
    numbers = versions_on_other_items(registry, model, digest)
    problems = [problem for number in numbers if (problem := evaluate_stored(workspace, number))]
    if problems:
        return Failed(message="; ".join(problems))
    names = ", ".join(map(str, numbers)) or "no version"
    return Completed(message=f"evaluated from its artifact: {names}", data=numbers)


def versions_on_other_items(registry: Registry, model: str, digest: str) -> list[int]:
    """Return the numbers of the registered versions whose newest evaluation is of other items.

    Args:
        registry: the registry.
        model: the registered model.
        digest: digest of the present items.
    """
    return [
        version.version
        for version in registry.versions(model)
        if version.items_digest != digest
        and (version.is_champion or version.state == VersionState.REGISTERED)
    ]


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="evaluate version {number}")
def evaluate_stored(workspace: Path, number: int) -> str:
    """Evaluate a version from its artifact; return why that is impossible, else an empty string."""
    params = load_params(workspace / "params.yaml")
    registry = open_project_registry(project_of(workspace), params)
    model, evaluation, processes = params.registry.model, params.models.evaluation, ProcessGroups()
    try:
        info = evaluate_version(registry, model, number, evaluation, workspace, processes)
    except (StageFailed, MissingArtifact, DamagedArtifact) as error:
        return f"version {number} of {model!r} cannot be evaluated: {error}"
    get_run_logger().info("accuracy of version %d: %.4f", number, info.evaluation.accuracy)
    return ""
