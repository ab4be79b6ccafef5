"""`flanmoe deploy`: work pools, deployments, schedules and alerts on a Prefect server."""

from __future__ import annotations

import os

import click

from flows.commands.options import load_workspace


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
def deploy(dry_run: bool) -> None:
    """Create or update the deployments of prefect.yaml on the server in PREFECT_API_URL.

    Work pools, queues and their limits, schedules and alerts are part of it. A second call changes
    nothing; what people paused stays paused.
    """
    from flows.errors import ServerError
    from flows.runtime.prefect_http import check_access

    project, params = load_workspace()
    if not os.environ.get("PREFECT_API_URL"):
        raise ServerError(
            "PREFECT_API_URL is not set; start a server and its worker with `flanmoe up`, or set "
            "the variable to the URL of a running server"
        )
    check_access(os.environ["PREFECT_API_URL"])
    # Prefect, which reads its settings when it is imported.
    from flows.deployments.deploy import deploy as apply
    from flows.deployments.deploy import pools_without_worker

    for change in apply(project, params.flows, dry_run=dry_run):
        action = {"create": "created", "update": "updated"}.get(change.action, change.action)
        action = f"would be {action}" if dry_run and change.action != "unchanged" else action
        fields = f" ({', '.join(change.fields)})" if change.fields else ""
        click.echo(f"  {change.kind:<12} {change.name:<36} {action}{fields}")
    if not dry_run:
        for pool in pools_without_worker(project):
            click.echo(f"  no worker of {pool!r} is online: `prefect worker start --pool {pool}`")
    if not params.flows.deployments.alert_block:
        click.echo("  no alerts: flows.deployments.alert_block is empty")
