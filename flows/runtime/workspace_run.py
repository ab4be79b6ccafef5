"""Run the pipeline of a workspace from the command line: server, lock, display, cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.config.load import load_params
from flows.errors import StageInterrupted
from flows.runtime.cache_links import shared_cache
from flows.runtime.dask_cluster import start_cluster
from flows.runtime.display import Display
from flows.runtime.graph import read_graph
from flows.runtime.lost_output import discard_lost_output
from flows.runtime.prefect_server import start_api
from flows.runtime.processes import ProcessGroups, stop_on_signal
from flows.runtime.run_context import RunContext, activate, open_for_run
from flows.runtime.workspace import prepare_workspace, workspace_lock
from flows.stages import digest

if TYPE_CHECKING:  # Prefect reads its settings when it is imported
    from flows.runtime.pipeline import PipelineResult


def run_in_workspace(
    project: Path,
    folder: Path,
    data: dict[str, Any] | None,
    console: Console,
    *,
    promote: bool = True,
    targets: Sequence[str] = (),
) -> PipelineResult:
    """Run the pipeline in a workspace, which is locked meanwhile.

    Args:
        project: the project whose code and registry the workspace uses.
        folder: the workspace, which exists.
        data: parameters to write there; None: it is the project, or it has them.
        console: where the progress is shown.
        promote: whether to promote the best version.
        targets: stages to end with; then nothing is registered. Empty: all stages.

    Raises:
        FlowError: the run failed, or was stopped or cancelled.
        WorkspaceBusy: another process runs in the workspace.
    """
    discard_lost_output()
    processes = ProcessGroups()
    with workspace_lock(folder), stop_on_signal(processes):
        if data is not None:
            prepare_workspace(project, folder, data)
        params = load_params(folder / "params.yaml")
        registry = open_for_run(project, params)
        console.print(f"flanmoe: {folder}", highlight=False)
        with start_api(project, processes) as api:
            # Prefect reads its settings, among them the URL, when it is imported; the import takes
            # place while the server boots.
            from flows.runtime.pipeline_run import run_pipeline

            digest.run(folder)  # before DVC compares the code of the stages
            stages = read_graph(folder)
            if targets:
                stages = stages.up_to(targets)
            api.await_healthy()
            display = Display(console)
            if processes.stopping.is_set():
                raise StageInterrupted("stopped before the first stage")
            context = RunContext(
                workspace=folder,
                params=params,
                graph=stages,
                registry=registry,
                processes=processes,
                display=display,
                has_own_server=api.process is not None,
            )
            console.print(
                f"  {len(stages.order)} stages, {len(stages.changed)} changed; Prefect: {api.url}",
                highlight=False,
            )
            with (
                shared_cache(project, folder),
                start_cluster(params) as scheduler,
                display.live(),
                activate(context),
            ):
                if scheduler:
                    console.print(f"  Dask: {scheduler}", highlight=False)
                return run_pipeline(folder, promote=promote, targets=tuple(targets))
