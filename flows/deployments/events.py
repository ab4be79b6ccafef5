"""Events of this project on the Prefect server, which automations react to."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from prefect.events import emit_event


class FlanmoeEvent(StrEnum):
    """Names of the events."""

    PROMOTION_REFUSED = "flanmoe.promotion.refused"
    """A version did not pass a gate, or a person's decision forbids its promotion."""
    PROMOTED = "flanmoe.promotion.promoted"
    APPROVAL_REQUESTED = "flanmoe.approval.requested"
    DATA_DRIFTED = "flanmoe.data.drifted"


def emit(event: FlanmoeEvent, resource: str, name: str, message: str, **payload: Any) -> None:
    """Send an event to the server.

    Args:
        event: what happened.
        resource: to what it happened, for example `version.flan-sample.3`.
        name: name of the resource for people.
        message: one line; the text of the alert.
        payload: further values, as JSON values.
    """
    emit_event(
        event=event.value,
        resource={"prefect.resource.id": f"flanmoe.{resource}", "prefect.resource.name": name},
        payload={"message": message, **payload},
    )


def emit_refusal(model: str, version: int, reason: str) -> None:
    """Send the event of a refused promotion."""
    resource, name = f"version.{model}.{version}", f"version {version} of {model}"
    emit(FlanmoeEvent.PROMOTION_REFUSED, resource, name, reason)
