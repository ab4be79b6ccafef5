"""`flanmoe deploy` against a real server: complete, idempotent, and respectful of people."""

import asyncio
from dataclasses import replace

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.config.schema import FlowsParams
from flows.deployments.deploy import deploy, pools_without_worker
from flows.deployments.params import DeploymentParams
from flows.errors import InvalidDeployment, ServerError
from flows.runtime.ports import free_port
from tests.factories import ROOT
from tests.flows.deployments.test_prefect_yaml import FLOWS

pytestmark = pytest.mark.process
PARAMS = FlowsParams()


@pytest.fixture(scope="module")
def server(prefect_server):
    """Use the shared server for this process."""
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield prefect_server.url


@pytest.fixture(scope="module")
def block(server):
    """A notification block of the server."""
    block = CustomWebhookNotificationBlock(name="team", url="http://127.0.0.1:9/alert")
    block.save("team", overwrite=True)
    return "custom-webhook/team"


def actions(changes):
    return {(change.kind, change.name): change.action for change in changes}


def ask(function):
    """Call the server with an asynchronous client."""

    async def call():
        async with get_client() as client:
            return await function(client)

    return asyncio.run(call())


def test_deploy_creates_everything_once(server):
    assert set(actions(deploy(ROOT, PARAMS, dry_run=True)).values()) <= {"create", "unchanged"}
    deploy(ROOT, PARAMS)
    second = actions(deploy(ROOT, PARAMS))
    assert set(second.values()) == {"unchanged"}
    assert {name for kind, name in second if kind == "deployment"} == FLOWS
    assert {name for kind, name in second if kind == "work pool"} == {"local", "gpu-fleet"}
    assert {name for kind, name in second if kind == "work queue"} == {
        "local/maintenance", "local/data", "local/training",
    }  # fmt: skip
    assert pools_without_worker(ROOT) == ["local"]
    nightly = ask(lambda client: client.read_deployment_by_name("data_refresh/nightly"))
    assert (nightly.work_pool_name, nightly.work_queue_name) == ("local", "data")
    assert nightly.schedules[0].schedule.cron == "0 2 * * *"
    assert nightly.pull_steps[0]["prefect.deployments.steps.set_working_directory"] == {
        "directory": str(ROOT)
    }
    queue = ask(lambda client: client.read_work_queue_by_name("training", "local"))
    assert queue.concurrency_limit == 1
    janitor = ask(lambda client: client.read_deployment_by_name("janitor/hourly"))
    assert janitor.global_concurrency_limit.limit == 1


def test_dry_run_reports_a_change_and_makes_none(server):
    deploy(ROOT, PARAMS)
    changed = replace(PARAMS, deployments=DeploymentParams(parallel_trainings=3, parallel_runs=7))
    for _ in range(2):
        report = actions(deploy(ROOT, changed, dry_run=True))
        assert {name for name, action in report.items() if action == "update"} == {
            ("work pool", "local"), ("work pool", "gpu-fleet"), ("work queue", "local/training"),
        }  # fmt: skip
    deploy(ROOT, changed)
    assert ask(lambda client: client.read_work_pool("local")).concurrency_limit == 7
    deploy(ROOT, PARAMS)
    assert ask(lambda client: client.read_work_pool("local")).concurrency_limit == 4


def test_schedule_that_a_person_paused_stays_paused(server):
    deploy(ROOT, PARAMS)

    async def pause(client):
        weekly = await client.read_deployment_by_name("retrain_if_changed/weekly")
        await client.update_deployment_schedule(weekly.id, weekly.schedules[0].id, active=False)
        await client.update_deployment(weekly.id, _update(tags=["other"]))

    ask(pause)
    report = {change.name: change for change in deploy(ROOT, PARAMS)}
    assert report["retrain_if_changed/weekly"].fields == ("tags",)
    weekly = ask(lambda client: client.read_deployment_by_name("retrain_if_changed/weekly"))
    assert weekly.tags == ["flanmoe", "training"]
    assert [schedule.active for schedule in weekly.schedules] == [False]


def _update(**fields):
    from prefect.client.schemas.actions import DeploymentUpdate

    return DeploymentUpdate(**fields)


def test_alerts_are_created_once_updated_and_stay_disabled(server, block):
    params = replace(PARAMS, deployments=DeploymentParams(alert_block=block))
    deploy(ROOT, params)
    report = actions(deploy(ROOT, params))
    assert set(report.values()) == {"unchanged"}
    names = {name for kind, name in report if kind == "automation"}
    assert names == {
        "flanmoe: run failed", "flanmoe: no data refresh", "flanmoe: promotion refused",
        "flanmoe: data drifted", "flanmoe: approval requested", "flanmoe: run lost",
        "flanmoe: run not started",
    }  # fmt: skip

    async def pause(client):
        (automation,) = await client.read_automations_by_name("flanmoe: no data refresh")
        await client.pause_automation(automation.id)

    ask(pause)
    longer = replace(
        params, deployments=DeploymentParams(alert_block=block, max_hours_without_run=50)
    )
    report = actions(deploy(ROOT, longer))
    assert {name for (_, name), action in report.items() if action == "update"} == {
        "flanmoe: no data refresh"
    }
    (automation,) = ask(lambda client: client.read_automations_by_name("flanmoe: no data refresh"))
    assert not automation.enabled
    assert automation.trigger.within.total_seconds() == 50 * 3600


def test_unknown_block_is_an_error_line(server):
    params = replace(PARAMS, deployments=DeploymentParams(alert_block="slack-webhook/nobody"))
    with pytest.raises(InvalidDeployment, match="'slack-webhook/nobody' is no block"):
        deploy(ROOT, params)


def test_server_that_does_not_answer_is_an_error_line():
    url = f"http://127.0.0.1:{free_port()}/api"
    settings = {PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(settings), pytest.raises(ServerError, match="start the server, or"):
        deploy(ROOT, PARAMS)
