"""Automations that close deployed runs whose worker or process was lost.

A worker closes the runs of its own processes. If the worker is lost too, for example with its
machine, nobody does: such a run would be shown as pending or running for ever, and would occupy a
place of its queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.deployments.work_pools import LOCAL_POOL

START_TIMEOUT_S = 180.0
"""Seconds after which a run that a worker has taken, and no process has started, is closed."""
HEARTBEAT_TIMEOUT_S = 90.0
"""Seconds without a heartbeat after which a run is closed; prefect.yaml sets their interval."""
MONITORED_FLOWS = ("flanmoe", "data_refresh", "evaluate_all", "retrain_if_changed", "janitor")
"""Not `promotion`: while it waits for a person it has no process."""
_ANY_EVENT = {"prefect.flow-run.*"}


def abandoned_run_automations() -> list[AutomationCore]:
    """Return the automations, which need no notification block."""
    return [
        _close_run(
            "run not started",
            "prefect.flow-run.Pending",
            [{"prefect.resource.role": "work-pool", "prefect.resource.name": LOCAL_POOL}],
            START_TIMEOUT_S,
            "its worker was lost before the run started",
        ),
        _close_run(
            "run lost",
            "prefect.flow-run.heartbeat",
            [
                {"prefect.resource.role": "flow", "prefect.resource.name": list(MONITORED_FLOWS)},
                # A run of the command line has a guard of its own, and other heartbeats.
                {
                    "prefect.resource.role": "deployment",
                    "prefect.resource.id": "prefect.deployment.*",
                },
            ],
            HEARTBEAT_TIMEOUT_S,
            "its worker and its process were lost",
        ),
    ]


def _close_run(
    title: str,
    event: str,
    related: Sequence[Mapping[str, str | list[str]]],
    timeout_s: float,
    message: str,
) -> AutomationCore:
    """Close a run as crashed if no event of it follows within a time; a final state remains."""
    return AutomationCore(
        name=f"flanmoe: {title}",
        description="Created by `flanmoe deploy`.",
        trigger=EventTrigger(
            after={event},
            expect=_ANY_EVENT,
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=[ResourceSpecification(dict(resource)) for resource in related],
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            within=timedelta(seconds=timeout_s),
        ),
        actions=[
            ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
        ],
    )
