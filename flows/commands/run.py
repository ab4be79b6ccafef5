"""`flanmoe run`: the main job, from params.yaml to a champion."""

from __future__ import annotations

from pathlib import Path

from flows.config import load as check
from flows.errors import StageInterrupted
from flows.runtime import graph
from flows.runtime import prefect_server as server
from flows.runtime import workspace as project
from flows.runtime.dask_cluster import cluster
from flows.runtime.display import Display, models_table, wide_console
from flows.runtime.processes import Processes, on_interrupt
from flows.stages import digest
from registry.store import Registry


def run(*, params_file: Path | None, assignments: tuple[str, ...], workspace: Path | None) -> None:
    """Checks everything first, then runs the flow and prints the table.

    With a params file, assignments or a workspace named, a workspace apart from the project is
    used, so that the project's own params.yaml, data and dvc.lock stay as they are.
    """
    console = wide_console()
    root = project.find()
    home = project.home(root)
    folder = _workspace(root, params_file, assignments, workspace)
    params = check.load(folder / "params.yaml")
    registry = Registry.open(home, params.registry.artifacts)
    processes = Processes()
    with project.alone(folder), on_interrupt(processes):
        console.print(f"flanmoe: {folder}", highlight=False)
        with server.api(home, processes) as api:
            # While the server boots. Prefect reads its settings, the URL among them, on import.
            from flows.runtime import pipeline

            digest.run(folder)  # first, as DVC compares the stages' code by it
            stages = graph.read(folder)
            api.await_healthy()
            display = Display(console)
            if processes.stopping.is_set():
                raise StageInterrupted("stopped before the first stage")
            job = pipeline.Job(
                workspace=folder,
                graph=stages,
                params=params,
                registry=registry,
                processes=processes,
                display=display,
            )
            console.print(
                f"  {len(stages.order)} stages, {len(stages.changed)} changed; Prefect: {api.url}",
                highlight=False,
            )
            with cluster(params) as scheduler, display.live():
                if scheduler:
                    console.print(f"  Dask: {scheduler}", highlight=False)
                result = pipeline.run(job)
    console.print()
    console.print(models_table(result.versions))
    console.print()
    console.print(result.decision.reason, highlight=False, soft_wrap=True)
    console.print("Dashboard: .venv/bin/flanmoe dashboard", highlight=False)


def _workspace(
    root: Path,
    params_file: Path | None,
    assignments: tuple[str, ...],
    workspace: Path | None,
) -> Path:
    if params_file is None and not assignments and workspace is None:
        return root
    source = params_file or root / "params.yaml"
    data = project.override(check.read(source), assignments)
    home = project.home(root)
    check.parse(data, source.name, home)
    default = home / project.STATE / "workspaces" / source.stem
    target = (workspace or default).resolve()
    target.mkdir(parents=True, exist_ok=True)
    with project.alone(target):
        return project.prepare(home, target, data)
