"""Runs whose Prefect server or process is lost, on real servers."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.factories import PREFECT_DATABASE, copy_database, user_environment, wait_for
from tests.flows.runtime.factories import recorded_run

pytestmark = pytest.mark.process

MAX_SECONDS_AFTER_LOSS = 30
MAX_SECONDS_AFTER_KILL = 60


def start_script(folder, incident, **environment):
    """Start the script `run_fake_stages.py`."""
    script = Path(__file__).with_name("run_fake_stages.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), incident], text=True,
        env=user_environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def run_on_own_server(folder, incident):
    """Run the flow on a server of the project's own; return the output."""
    process = start_script(folder, incident)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    return output


def recorded_states(folder):
    """Return the states of the flow runs by workspace, and of the task runs."""
    with sqlite3.connect(folder / PREFECT_DATABASE) as connection:
        flow_runs = connection.execute("SELECT parameters, state_type FROM flow_run").fetchall()
        task_states = connection.execute("SELECT DISTINCT state_type FROM task_run").fetchall()
    runs = sorted((Path(json.loads(text)["workspace"]).name, state) for text, state in flow_runs)
    return runs, {state for (state,) in task_states}


def test_run_pipeline_server_lost_ends_with_its_result_and_the_next_run_records_it(
    prefect_server, tmp_path
):
    """Two boots of a server: the first is killed during the run, the second closes its runs."""
    folder = tmp_path / "project"
    copy_database(prefect_server.empty_database, folder / PREFECT_DATABASE)
    output = run_on_own_server(folder, "lose_server")
    assert "version 2 is better" in output
    warnings = [line for line in output.splitlines() if "does not answer" in line]
    assert len(warnings) == 1
    assert "the next run records its end in Prefect" in warnings[0]
    assert not re.search(r"Traceback|ERROR|Error logging", output)
    lost, ended = re.search(r"lost ([\d.]+)(?s:.*)end ([\d.]+)", output).groups()
    assert float(ended) - float(lost) < MAX_SECONDS_AFTER_LOSS
    runs, _ = recorded_states(folder)
    assert runs == [("abandoned", "CRASHED"), ("abandoned", "CRASHED"), ("project", "RUNNING")]

    run_on_own_server(folder, "nothing")
    runs, task_states = recorded_states(folder)
    assert runs[2:] == [("project", "COMPLETED"), ("project", "COMPLETED")]
    assert task_states == {"COMPLETED", "CRASHED"}
    assert not list((folder / ".flanmoe" / "prefect" / "leases").iterdir())


def test_run_pipeline_killed_is_closed_by_its_guard(prefect_server, tmp_path):
    killed = start_script(tmp_path, "kill", PREFECT_API_URL=prefect_server.url)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):

        def is_closed():
            flow_run, task_states = recorded_run(tmp_path)
            return flow_run.state.is_crashed() and StateType.RUNNING not in task_states.values()

        assert wait_for(is_closed, MAX_SECONDS_AFTER_KILL, interval_s=0.5)
        assert "ended without a result" in recorded_run(tmp_path)[0].state.message
    leases = tmp_path / ".flanmoe" / "prefect" / "leases"
    assert wait_for(lambda: not list(leases.iterdir()), 5)


def test_run_pipeline_stopped_by_sigterm_is_recorded_as_cancelled(prefect_server, tmp_path):
    """Prefect itself would record SIGTERM as a crash."""
    stopped = start_script(tmp_path, "terminate", PREFECT_API_URL=prefect_server.url)
    output, _ = stopped.communicate(timeout=60)
    assert "interrupted: clean was stopped" in output
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        flow_run, task_states = recorded_run(tmp_path)
    assert flow_run.state.type == task_states["clean"] == StateType.CANCELLED
