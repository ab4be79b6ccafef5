"""`flanmoe registry approvals|approve|decline`: the decisions that promotions wait for."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)
from flows.commands.registry_interventions import reason_option
from flows.commands.tables import plain_table, wide_console

if TYPE_CHECKING:
    from registry.approvals import Approval


@click.command()
@click.option("--model", help="List requests for this model's versions only.")
@json_option
def approvals(model: str | None, as_json: bool) -> None:
    """List the requests for approval and their decisions, oldest first."""
    root, params = load_workspace()
    requests = open_registry(root, params).approvals.list(model)
    if as_json:
        print_json([request.to_dict() for request in requests])
        return
    table = plain_table(
        [">number", "model", ">version", "state", "expires", "decided by", "reason"]
    )
    for request in requests:
        table.add_row(
            str(request.number),
            request.model,
            str(request.version),
            request.state.value,
            f"{request.expires_at:%Y-%m-%d %H:%M} UTC",
            request.decided_by,
            request.reason,
        )
    wide_console().print(table)


@click.command()
@click.argument("version", type=int)
@model_option
@reason_option
def approve(version: int, model: str | None, reason: str) -> None:
    """Approve the promotion of VERSION.

    The flow run that waits for it continues and promotes, if the gates still pass. Without one, or
    without PREFECT_API_URL, this command promotes.
    """
    _decide(version, model, reason, approve=True)


@click.command()
@click.argument("version", type=int)
@model_option
@reason_option
def decline(version: int, model: str | None, reason: str) -> None:
    """Decline the promotion of VERSION; it stays registered."""
    _decide(version, model, reason, approve=False)


def _decide(version: int, model: str | None, reason: str, *, approve: bool) -> None:
    root, params = load_workspace()
    store, name = open_registry(root, params), model or params.registry.model
    actor = getpass.getuser()
    approval = store.approvals.decide(name, version, approve=approve, actor=actor, reason=reason)
    click.echo(f"promotion of version {version} of {name!r} is {approval.state}")
    if _resume(approval):
        click.echo(f"flow run {approval.flow_run} continues")
    elif approve:
        report = store.promote(name, version, actor=actor)
        click.echo(f"version {version} of {name!r} is champion: {report.reason}")


def _resume(approval: Approval) -> bool:
    """Resume the flow run that waits; return whether there is one on the present server."""
    if not approval.flow_run or not os.environ.get("PREFECT_API_URL"):
        return False
    import httpx

    from flows.deployments.resume import resume_promotion
    from flows.errors import ServerError

    try:
        return resume_promotion(approval)
    except httpx.HTTPError as error:
        raise ServerError(
            f"{os.environ['PREFECT_API_URL']}: {error}; the decision is recorded, and the "
            "deployment `janitor` resumes the flow run"
        ) from None


APPROVALS = (approvals, approve, decline)
