"""Run the flow with stages that are functions, on the server that a command would use.

The first argument is the project's folder, the second what happens while `clean` runs: `nothing`;
`lose_server`, which kills the project's own server; `kill` and `terminate`, which send SIGKILL and
SIGTERM to this process; `cancel`, which cancels the run in Prefect. Before the server is lost, two
runs are left behind by processes that are gone, only one with a lease.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from data_pipelines.files import write_json
from flows.errors import StageInterrupted
from flows.runtime.prefect_server import start_api
from flows.runtime.processes import ProcessGroups, stop_on_signal
from flows.runtime.run_lease import create_lease, read_lease

SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}
folder, incident = Path(sys.argv[1]), sys.argv[2]
processes = ProcessGroups()


def leave_run_behind(client, flow, with_lease):
    """Create a running flow run whose process has ended, with a task that runs."""
    from prefect.states import Running

    from flows.runtime.pipeline import run_stage

    flow_run = client.create_flow_run(flow, parameters={"workspace": "/abandoned"}, state=Running())
    client.create_task_run(run_stage, flow_run.id, dynamic_key="a", state=Running())
    if with_lease:
        path = create_lease(folder, str(flow_run.id), "")
        write_json(path, asdict(replace(read_lease(path), process_started_at=0.0)))


with stop_on_signal(processes), start_api(folder, processes) as api:
    from prefect.client.orchestration import get_client
    from rich.console import Console

    from flows.runtime import pipeline as pipeline_module
    from flows.runtime import promotion_tasks, run_closing, stage_runner
    from flows.runtime.pipeline_run import run_pipeline
    from flows.runtime.run_context import activate
    from tests.flows.runtime.factories import FakeStages, recorded_run, run_context

    fakes = FakeStages()

    def run_with_dvc(stage, *arguments, **limits):
        if stage == "clean" and incident == "lose_server":
            print(f"lost {time.time()}", flush=True)
            os.kill(api.process.pid, signal.SIGKILL)
        if stage == "clean" and incident == "cancel":
            flow_run, _ = recorded_run(folder)
            subprocess.run(
                [sys.executable, "-m", "prefect", "flow-run", "cancel", str(flow_run.id)],
                check=True, capture_output=True,
            )  # fmt: skip
        if stage == "clean" and incident in SIGNALS:
            os.kill(os.getpid(), SIGNALS[incident])
        if stage == "clean" and incident in ("cancel", *SIGNALS):
            assert processes.stopping.wait(10)
            raise StageInterrupted("clean was stopped")
        return fakes.run_with_dvc(stage, *arguments, **limits)

    stage_runner.run_with_dvc = run_with_dvc
    promotion_tasks.read_submission = lambda run, *_, **__: run.name
    pipeline_module.describe_outputs = lambda *_: []
    run_closing.LEASE_S = 0.0  # runs without a lease need not be a minute old
    api.await_healthy()
    if incident == "lose_server":
        with get_client(sync_client=True) as client:
            leave_run_behind(client, pipeline_module.pipeline, with_lease=True)
            leave_run_behind(client, pipeline_module.pipeline, with_lease=False)
    console = Console(force_terminal=False, width=200)
    context = run_context(folder, console, has_own_server=api.process is not None)
    context.processes = processes
    with activate(context):
        try:
            print(run_pipeline(folder).decision.reason)
        except StageInterrupted as stop:
            print(f"interrupted: {stop}")
print(f"end {time.time()}")
