"""`flanmoe up`: Prefect's server, a worker and the dashboard on this machine."""

from __future__ import annotations

import click

from flows.commands.dashboard import dashboard_environment, streamlit_command
from flows.commands.options import load_workspace, open_registry
from flows.runtime.ports import check_port

LOOPBACK = "127.0.0.1"


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Port of Prefect's server, unless PREFECT_API_URL names one.",
)
@click.option("--dashboard-port", type=click.IntRange(1, 65535), help="Default: dashboard.port.")
def up(port: int, dashboard_port: int | None) -> None:
    """Start Prefect's server, a worker of the pool `local` and the dashboard, and deploy.

    They listen on this machine only. Ctrl-C ends all of them; when one ends, so do the others.
    """
    import os

    from flows.runtime.prefect_server import start_api
    from flows.runtime.processes import ProcessGroups, stop_on_signal
    from flows.runtime.services import LocalService, run_services

    project, params = load_workspace()
    open_registry(project, params)  # an unreachable database is reported before anything starts
    address, page_port = params.dashboard.address, dashboard_port or params.dashboard.port
    check_port(address, page_port, "choose another with --dashboard-port")
    if not os.environ.get("PREFECT_API_URL"):
        check_port(LOOPBACK, port, "choose another with --port, or set PREFECT_API_URL to its URL")
    processes = ProcessGroups()
    with stop_on_signal(processes), start_api(project, processes, port) as api:
        api.await_healthy()
        # Prefect reads its settings, among them the URL, when it is imported.
        from flows.deployments.deploy import deploy
        from flows.deployments.work_pools import LOCAL_POOL

        deploy(project, params.flows)
        click.echo(f"Prefect:   {api.url.removesuffix('/api')}")
        click.echo(f"Dashboard: http://{address}:{page_port}")
        click.echo(f"For commands in other terminals: export PREFECT_API_URL={api.url}")
        click.echo("Ctrl-C ends all of them", nl=True)
        module, *arguments = streamlit_command(project, address, page_port)
        run_services(
            [
                LocalService(
                    name="worker",
                    module="prefect",
                    arguments=("worker", "start", "--pool", LOCAL_POOL),
                    environment={"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO"},
                ),
                LocalService(
                    name="dashboard",
                    module=module,
                    arguments=arguments,
                    environment=dashboard_environment(project, params),
                ),
            ],
            project,
            processes,
        )
