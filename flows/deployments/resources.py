"""What `flanmoe deploy` creates on a Prefect server, and how it is compared and updated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from prefect.client.orchestration import PrefectClient

Action = Literal["create", "update", "unchanged"]


class Resource(Protocol):
    """A resource of the server, as it should be."""

    @property
    def kind(self) -> str:
        """What it is, for example `work pool`."""

    @property
    def name(self) -> str:
        """Its name on the server."""

    async def read_differences(self, client: PrefectClient) -> list[str] | None:
        """Return the fields that differ on the server; None if it does not exist there."""

    async def apply(self, client: PrefectClient) -> None:
        """Create or update it."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What was done, or would be done, to a resource."""

    kind: str
    name: str
    action: Action
    fields: tuple[str, ...] = ()
    """Fields that an update changes."""


async def reconcile(client: PrefectClient, resource: Resource, *, dry_run: bool) -> Change:
    """Create or update a resource unless it is as it should be; return the change.

    Args:
        client: client of the Prefect server.
        resource: the resource as it should be.
        dry_run: whether to change nothing.
    """
    differences = await resource.read_differences(client)
    if differences == []:
        return Change(kind=resource.kind, name=resource.name, action="unchanged")
    if not dry_run:
        await resource.apply(client)
    action: Action = "create" if differences is None else "update"
    return Change(
        kind=resource.kind, name=resource.name, action=action, fields=tuple(differences or ())
    )


def different_fields(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """Return the keys whose values differ."""
    return [key for key, value in expected.items() if actual.get(key) != value]
