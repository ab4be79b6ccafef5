"""State that the tasks of one pipeline run share in a process: graph, display, process groups.

A Prefect flow takes and records only serialisable parameters, so the flow and its tasks take the
workspace's path and look up the rest here. The command line activates a context before it calls
the flow; a flow that runs without the command line, for example as a deployment, creates one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from flows.config.load import load_params
from flows.config.schema import Params
from flows.errors import FlowError
from flows.runtime.cache_links import shared_cache
from flows.runtime.dask_cluster import start_cluster
from flows.runtime.display import Display
from flows.runtime.graph import Graph, read_graph
from flows.runtime.lost_output import discard_lost_output
from flows.runtime.processes import ProcessGroups, stop_on_signal
from flows.runtime.project_policy import load_project_policy, open_project_registry
from flows.runtime.stage_runner import StageStatus
from flows.runtime.workspace import project_of, workspace_lock
from flows.stages import digest
from registry.store import Registry

if TYPE_CHECKING:  # Prefect reads its settings when it is imported
    from flows.runtime.run_monitor import RunMonitor


@dataclass(kw_only=True)
class RunContext:
    """State of one run of the pipeline in a workspace."""

    workspace: Path
    params: Params
    graph: Graph
    registry: Registry
    processes: ProcessGroups
    display: Display
    status_by_stage: dict[str, StageStatus] = field(default_factory=dict)
    """Stages that have ended, with the last status of each."""
    has_own_server: bool = False
    """Whether the Prefect server belongs to the project and ends with this process."""
    is_command: bool = False
    """Whether signals stop the run; otherwise they are handled as a Prefect worker expects."""
    stop_reason: str = ""
    """Why the run was stopped, if not by a signal."""
    monitor: RunMonitor | None = None
    """Watches the flow run, from the start of the flow function."""
    ending: object = None
    """Result of the flow, or its exception, from the end of the flow function."""
    on_api_lost: Callable[[], object] = lambda: None
    """Called at the end of the flow function if the Prefect API does not answer."""

    def stop_on_signal(self) -> AbstractContextManager[None]:
        """Stop on SIGINT and SIGTERM for the duration of the block, if `is_command`."""
        return stop_on_signal(self.processes) if self.is_command else nullcontext()

    def stop(self, reason: str) -> None:
        """End all stages and start no more, unless the run is stopping already."""
        if not self.processes.stopping.is_set():
            self.stop_reason = reason
            self.processes.stop()

    @property
    def dashboard_url(self) -> str:
        """URL of the dashboard that the parameters describe."""
        return f"http://{self.params.dashboard.address}:{self.params.dashboard.port}"


_active: dict[Path, RunContext] = {}
_lock = threading.Lock()


@contextmanager
def activate(context: RunContext) -> Iterator[RunContext]:
    """Make a context the active one of its workspace for the duration of the block.

    Raises:
        FlowError: another context of the workspace is active.
    """
    key = context.workspace.resolve()
    with _lock:
        if key in _active:
            raise FlowError(f"{key}: a run is already active in this process")
        _active[key] = context
    try:
        yield context
    finally:
        with _lock:
            del _active[key]


def open_for_run(project: Path, params: Params) -> Registry:
    """Open the registry of a project, or create it, after a check of the promotion policy.

    Raises:
        InvalidPolicy: the policy has errors, which would stop the run at its end.
        StoreUnavailable: the artifact store cannot be written.
    """
    load_project_policy(project)
    registry = open_project_registry(project, params, create=True)
    registry.artifacts.check_writable()
    return registry


def active_context(workspace: Path) -> RunContext:
    """Return the active context of a workspace.

    Raises:
        FlowError: none is active; the flow and its tasks must run in the same process.
    """
    try:
        return _active[workspace.resolve()]
    except KeyError:
        raise FlowError(f"{workspace}: no run is active in this process") from None


@contextmanager
def active_or_new_context(workspace: Path) -> Iterator[RunContext]:
    """Yield the active context of a workspace, or a new one for the duration of the block.

    A new context validates the parameters, locks the workspace, starts the Dask cluster that the
    parameters ask for, and prints plain progress lines. All processes end with the block.

    Raises:
        InvalidParams: params.yaml has errors.
        InvalidPolicy: the promotion policy has errors.
        WorkspaceBusy: another process runs in the workspace.
    """
    workspace = workspace.resolve()
    if workspace in _active:
        yield active_context(workspace)
        return
    params = load_params(workspace / "params.yaml")
    registry = open_for_run(project_of(workspace), params)
    processes = ProcessGroups()
    discard_lost_output()
    with (
        workspace_lock(workspace),
        shared_cache(project_of(workspace), workspace),
        start_cluster(params),
    ):
        digest.run(workspace)  # before DVC compares the code of the stages
        context = RunContext(
            workspace=workspace,
            params=params,
            graph=read_graph(workspace),
            registry=registry,
            processes=processes,
            display=Display(Console(force_terminal=False)),
        )
        try:
            with activate(context):
                yield context
        finally:
            processes.stop()
