"""Alerts reach a webhook: a failed run, a refused promotion, drift, a request for approval."""

from dataclasses import replace

import pytest
from prefect import flow, tags
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.config.schema import FlowsParams
from flows.deployments.deploy import deploy
from flows.deployments.events import FlanmoeEvent, emit
from flows.deployments.params import DeploymentParams
from flows.errors import StageFailed
from tests.factories import ROOT, wait_for

pytestmark = pytest.mark.process


@flow(name="failing", persist_result=False)
def failing():
    raise StageFailed("read: no rows (log: read.log)")


def test_alerts_reach_the_webhook_with_what_happened(prefect_server, webhook):
    url, received = webhook
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        block = CustomWebhookNotificationBlock(
            name="alerts", url=url, json_data={"title": "{{subject}}", "text": "{{body}}"}
        )
        block.save("alerts", overwrite=True)
        params = DeploymentParams(alert_block="custom-webhook/alerts")
        deploy(ROOT, replace(FlowsParams(), deployments=params))
        refused = "version 3 of 'flan' is not promoted: min_items: 20 items"

        def send_until_received():
            """The server learns of new automations some seconds after they were created."""
            emit(FlanmoeEvent.PROMOTION_REFUSED, "version.flan.3", "version 3", refused)
            EventsWorker.drain_all(timeout=15)
            return wait_for(lambda: "flanmoe: promotion refused" in received, 5)

        assert wait_for(send_until_received, 60)
        emit(FlanmoeEvent.DATA_DRIFTED, "data.d2", "data", "share of cot: 1.8 → 9.0 %")
        emit(FlanmoeEvent.APPROVAL_REQUESTED, "version.flan.3", "version 3", "waits for approval")
        with tags("flanmoe"):
            failing(return_state=True)
        failing.with_options(name="other flow")(return_state=True)  # without the tag
        EventsWorker.drain_all(timeout=15)
        expected = {
            "flanmoe: promotion refused", "flanmoe: data drifted", "flanmoe: approval requested",
            "flanmoe: run failed",
        }  # fmt: skip
        assert wait_for(lambda: received.keys() >= expected, 60), received
    assert set(received["flanmoe: promotion refused"]) == {refused}
    assert received["flanmoe: data drifted"] == ["share of cot: 1.8 → 9.0 %"]
    assert received["flanmoe: approval requested"] == ["waits for approval"]
    (text,) = received["flanmoe: run failed"]
    assert text.startswith("failing run ")
    assert "read: no rows (log: read.log)" in text
