"""The promotion flow: refusal, approval in Prefect and on the command line, kill -9 in between."""

import pytest
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.config.schema import FlowsParams
from flows.deployments import events as events_module
from flows.deployments.deploy import deploy
from flows.deployments.events import FlanmoeEvent
from flows.deployments.promotion import promotion
from tests.factories import wait_for
from tests.flows.deployments.factories import (
    MODEL,
    PrefectProcesses,
    project_with_versions,
    registry_of,
)

pytestmark = pytest.mark.process
TIMEOUT_S = 180


@pytest.fixture(scope="module")
def prefect_api(prefect_server):
    """Run the flows of this process on the shared Prefect server."""
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield


@pytest.fixture
def events(monkeypatch):
    """Record the events that the flow sends."""
    sent = []
    monkeypatch.setattr(
        events_module, "emit", lambda event, *words, **_: sent.append((event, *words))
    )
    return sent


def test_refused_version_ends_as_refused_with_an_event_and_no_request(
    prefect_api, events, tmp_path
):
    project = project_with_versions(tmp_path / "p", 0.7, num_items=20)
    state = promotion(project.folder, return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Refused")
    ((event, resource, _, message),) = events
    assert (event, resource) == (FlanmoeEvent.PROMOTION_REFUSED, f"version.{MODEL}.1")
    assert message.startswith(f"version 1 of '{MODEL}' is not promoted: ")
    assert "20" in message
    assert registry_of(project).approvals.list() == []


@pytest.mark.multiprocess
def test_approval_survives_kill_9_of_server_and_worker(prefect_server, tmp_path):
    project = project_with_versions(tmp_path / "p", 0.5, 0.7)
    registry = registry_of(project)
    processes = PrefectProcesses(
        tmp_path / "prefect", project.folder, prefect_server.empty_database
    )
    try:
        processes.start_server()
        with temporary_settings({PREFECT_API_URL: processes.url}):
            deploy(project.folder, FlowsParams())
            processes.start_worker()
            run = start_promotion(1)
            assert await_state(run, "Suspended"), processes.log("local")
            assert [a.state for a in registry.approvals.list()] == ["requested"]
            processes.kill("local")
            processes.kill("server")
            processes.start_server()
            assert state_name(run) == "Suspended"
            processes.start_worker()

            approved = project.invoke(
                "registry", "approve", 1, "--reason", "read 20 answers",
                PREFECT_API_URL=processes.url,
            )  # fmt: skip
            assert approved.returncode == 0, approved.stderr
            assert f"flow run {run} continues" in approved.stdout
            assert await_state(run, "Promoted"), processes.log("local")
            assert registry.champion(MODEL).version == 1

            # In Prefect's user interface: the form of the suspended run.
            second = start_promotion(None)
            assert await_state(second, "Suspended")
            with get_client(sync_client=True) as client:
                wrong = client.resume_flow_run(second, run_input={"approve": True})
                assert wrong.status.value == "REJECT"
                form = {"approve": True, "approver": "bob", "reason": "better"}
                client.resume_flow_run(second, run_input=form)
            assert await_state(second, "Promoted"), processes.log("local")
    finally:
        processes.stop()
    assert registry.champion(MODEL).version == 2
    decisions = [
        (entry.version, entry.kind, entry.actor, entry.reason)
        for entry in registry.history(MODEL)
        if entry.kind in ("approval requested", "approved", "promoted")
    ]
    assert [(version, kind) for version, kind, *_ in decisions] == [
        (1, "approval requested"), (1, "approved"), (1, "promoted"),
        (2, "approval requested"), (2, "approved"), (2, "promoted"),
    ]  # fmt: skip
    assert decisions[1][3] == "read 20 answers"
    assert decisions[4][2:] == ("bob", "better")
    assert decisions[5][2] == "bob"


def start_promotion(version):
    """Start a run of the deployment and return its id."""
    parameters = {} if version is None else {"version": version}
    return run_deployment("promotion/with-approval", parameters=parameters, timeout=0).id


def await_state(run, name):
    """Return whether a flow run reached the state in time."""
    return wait_for(lambda: state_name(run) == name, TIMEOUT_S, interval_s=1)


def state_name(run):
    """Return the name of the state of a flow run."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).state.name
