"""One server with basic authentication: access, lost runs, and the alert of a missing refresh."""

import asyncio
import os
from dataclasses import replace

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Running

from flows.config.schema import FlowsParams
from flows.deployments import abandoned_runs
from flows.deployments.deploy import deploy
from flows.deployments.params import DeploymentParams
from tests.factories import PLANTED_SECRETS, error_line, wait_for
from tests.flows.deployments.factories import PrefectProcesses, project_with_versions
from tests.flows.runtime.factories import recorded_run
from tests.flows.runtime.test_pipeline_run import start_script

pytestmark = pytest.mark.process
CREDENTIALS = PLANTED_SECRETS["PREFECT_API_AUTH_STRING"]
SHORTEST_S = 10
"""Prefect's minimum time of a trigger that waits for an event."""


@pytest.fixture(scope="module")
def team(prefect_server, tmp_path_factory):
    """A project, and a server that requires authentication."""
    folder = tmp_path_factory.mktemp("team")
    project = project_with_versions(folder / "project", 0.5)
    processes = PrefectProcesses(
        folder / "prefect", project.folder, prefect_server.empty_database,
        environment={
            "PREFECT_SERVER_API_AUTH_STRING": CREDENTIALS, "PREFECT_API_AUTH_STRING": CREDENTIALS
        },
    )  # fmt: skip
    try:
        processes.start_server()
        yield project, processes
    finally:
        processes.stop()


@pytest.fixture
def api(team):
    """Use the server with its credentials in this process."""
    _, processes = team
    with temporary_settings({PREFECT_API_URL: processes.url, PREFECT_API_AUTH_STRING: CREDENTIALS}):
        yield processes.url


@pytest.mark.parametrize("command", ["run", "deploy", "up"])
@pytest.mark.parametrize(
    ("variables", "state"),
    [({}, "is not set"), ({"PREFECT_API_AUTH_STRING": "operator:wrong"}, "is not accepted")],
)
def test_command_with_wrong_credentials_is_an_error_line(team, command, variables, state):
    project, processes = team
    line = error_line(project.invoke(command, PREFECT_API_URL=processes.url, **variables))
    assert line == (
        f"error: PREFECT_API_URL is {processes.url}: the server requires authentication and "
        f"PREFECT_API_AUTH_STRING {state}; set it to the server's USER:PASSWORD"
    )


def test_run_with_credentials_is_recorded_and_cancelled_by_prefects_command(team, api, tmp_path):
    _, processes = team
    run = start_script(
        tmp_path, "cancel", PREFECT_API_URL=processes.url, PREFECT_API_AUTH_STRING=CREDENTIALS
    )
    output, _ = run.communicate(timeout=200)
    assert "interrupted: cancelled in Prefect" in output
    flow_run, task_states = recorded_run(tmp_path)
    assert flow_run.state.is_cancelled()
    assert task_states["fetch"] == StateType.COMPLETED
    assert CREDENTIALS not in output


def deployed_run(state):
    """Create a run of a deployment in a state, and return its id."""

    async def create():
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("data_refresh/nightly")
            run = await client.create_flow_run_from_deployment(deployment.id)
            for each in (Pending(), Running())[: 1 + state.is_running()]:
                await client.set_flow_run_state(run.id, each, force=True)
            return run

    return asyncio.run(create())


def final_message(run):
    """Return the message of a crashed run; None while it has not ended."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    return state.message if state.is_crashed() else None


def send_heartbeat(run, flow_name):
    """Send the event that Prefect sends while a process executes a run."""
    emit_event(
        "prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"},
        related=[
            {"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow",
             "prefect.resource.name": flow_name},
            {"prefect.resource.id": f"prefect.deployment.{run.deployment_id}",
             "prefect.resource.role": "deployment"},
        ],
    )  # fmt: skip


def test_lost_runs_are_closed_and_a_missing_refresh_is_an_alert(team, api, webhook, monkeypatch):
    """The times are shortened; what waits for a person, or is alive, stays as it is."""
    project, _ = team
    url, received = webhook
    block = CustomWebhookNotificationBlock(
        name="alerts", url=url, json_data={"title": "{{subject}}", "text": "{{body}}"}
    )
    block.save("alerts", overwrite=True)
    monkeypatch.setattr(abandoned_runs, "START_TIMEOUT_S", SHORTEST_S)
    monkeypatch.setattr(abandoned_runs, "HEARTBEAT_TIMEOUT_S", SHORTEST_S)
    hours = 2 * SHORTEST_S / 3600
    params = DeploymentParams(alert_block="custom-webhook/alerts", max_hours_without_run=hours)
    deploy(project.folder, replace(FlowsParams(), deployments=params))
    missing = "flanmoe: no data refresh"
    assert missing not in received

    @flow(name="data_refresh", persist_result=False)
    def data_refresh():
        return None

    data_refresh()
    EventsWorker.drain_all(timeout=15)
    pending, lost, waiting, alive = (deployed_run(state) for state in (Pending(), *[Running()] * 3))
    send_heartbeat(lost, "data_refresh")
    send_heartbeat(waiting, "promotion")

    def are_closed():
        send_heartbeat(alive, "data_refresh")
        return final_message(pending) and final_message(lost) and missing in received

    assert wait_for(are_closed, 90, interval_s=0.5), received
    assert final_message(pending) == "its worker was lost before the run started"
    assert final_message(lost) == "its worker and its process were lost"
    assert final_message(waiting) is None
    assert final_message(alive) is None
    assert received[missing][0].startswith("data_refresh has not completed for 0.00")
    assert os.environ.get("PREFECT_API_AUTH_STRING") is None
