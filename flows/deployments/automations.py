"""Automations: alerts when a run fails, is missing, or needs a person; and closing lost runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.deployments.abandoned_runs import abandoned_run_automations
from flows.deployments.events import FlanmoeEvent
from flows.deployments.params import DeploymentParams
from flows.deployments.resources import Resource, different_fields
from flows.errors import InvalidDeployment

TAG = "flanmoe"
"""Every deployment of prefect.yaml has this tag."""
DATA_FLOW = "data_refresh"
_RUN_BODY = "{{ flow.name }} run {{ flow_run.name }}: {{ flow_run.state.message }}"
_EVENT_BODY = "{{ event.payload.message }}"


@dataclass(frozen=True, kw_only=True)
class AutomationResource:
    """An automation, identified by its name."""

    automation: AutomationCore
    kind: str = "automation"

    @property
    def name(self) -> str:
        """Its name on the server."""
        return self.automation.name

    async def read_differences(self, client: PrefectClient) -> list[str] | None:
        """Compare with the server; an automation that a person disabled stays as it is."""
        current = await client.read_automations_by_name(self.name)
        if not current:
            return None
        return different_fields(_comparable(self.automation), _comparable(current[0]))

    async def apply(self, client: PrefectClient) -> None:
        """Create or update the automation."""
        current = await client.read_automations_by_name(self.name)
        if current:
            # The client sends only the fields that are set, and the server wants all of a trigger.
            fields = self.automation.model_dump(exclude={"owner_resource"})
            fields["enabled"] = current[0].enabled
            automation = type(self.automation).model_validate(fields)
            await client.update_automation(current[0].id, automation)
        else:
            await client.create_automation(self.automation)


async def automation_resources(client: PrefectClient, params: DeploymentParams) -> list[Resource]:
    """Return what closes lost runs, and the alerts if a notification block is configured.

    Raises:
        InvalidDeployment: the server has no block `flows.deployments.alert_block`.
    """
    closing = [AutomationResource(automation=each) for each in abandoned_run_automations()]
    if not params.alert_block:
        return list(closing)
    block_type, _, name = params.alert_block.partition("/")
    try:
        block = await client.read_block_document_by_name(name, block_type, include_secrets=False)
    except ObjectNotFound:
        raise InvalidDeployment(
            f"flows.deployments.alert_block: {params.alert_block!r} is no block of the Prefect "
            "server; create it in Prefect's user interface, or correct the parameter"
        ) from None
    alerts = [AutomationResource(automation=each) for each in _alerts(block.id, params)]
    return [*closing, *alerts]


def _alerts(block_id: UUID, params: DeploymentParams) -> list[AutomationCore]:
    hours = params.max_hours_without_run
    return [
        _alert(
            block_id,
            "run failed",
            _run_trigger({"prefect.flow-run.Failed", "prefect.flow-run.Crashed"}, "tag", TAG),
            _RUN_BODY,
        ),
        _alert(
            block_id,
            "no data refresh",
            _run_trigger(
                {"prefect.flow-run.Completed"},
                "flow",
                DATA_FLOW,
                posture=Posture.Proactive,
                within=timedelta(hours=hours),
            ),
            f"{DATA_FLOW} has not completed for {hours:g} hours; check the workers of its pool",
        ),
        *(
            _alert(
                block_id,
                title,
                EventTrigger(
                    expect={event.value},
                    match=ResourceSpecification({"prefect.resource.id": "flanmoe.*"}),
                ),
                _EVENT_BODY,
            )
            for event, title in (
                (FlanmoeEvent.PROMOTION_REFUSED, "promotion refused"),
                (FlanmoeEvent.DATA_DRIFTED, "data drifted"),
                (FlanmoeEvent.APPROVAL_REQUESTED, "approval requested"),
            )
        ),
    ]


def _run_trigger(events: set[str], role: str, name: str, **fields: Any) -> EventTrigger:
    """Match events of the runs that have a tag, or belong to a flow."""
    key, value = (
        ("prefect.resource.id", f"prefect.tag.{name}")
        if role == "tag"
        else ("prefect.resource.name", name)
    )
    return EventTrigger(
        expect=events,
        match_related=ResourceSpecification({"prefect.resource.role": role, key: value}),
        **fields,
    )


def _alert(block_id: UUID, title: str, trigger: EventTrigger, body: str) -> AutomationCore:
    return AutomationCore(
        name=f"flanmoe: {title}",
        description="Created by `flanmoe deploy`.",
        trigger=trigger,
        actions=[
            SendNotification(block_document_id=block_id, subject=f"flanmoe: {title}", body=body)
        ],
    )


def _comparable(automation: AutomationCore) -> dict[str, Any]:
    """Return the fields that `flanmoe deploy` sets, without what the server adds."""
    dump = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    trigger = {
        key: sorted(value, key=str) if isinstance(value, list) else value
        for key, value in dump["trigger"].items()
        if key != "id"
    }
    return {**dump, "trigger": trigger}
