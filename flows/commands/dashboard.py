"""`flanmoe dashboard`: Streamlit at `dashboard.address`, by default the loopback interface."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import load_workspace, open_registry
from flows.runtime.ports import check_port

if TYPE_CHECKING:
    from flows.config.schema import Params


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port. Default: dashboard.port.")
@click.option("--address", help="Address to listen on. Default: dashboard.address.")
def dashboard(port: int | None, address: str | None) -> None:
    """Serve the dashboard on this machine."""
    from flows.runtime.workspace import project_of

    root, params = load_workspace()
    # Open the registry once, so that an unreachable database is reported here, in one line.
    open_registry(root, params)
    address, chosen = address or params.dashboard.address, port or params.dashboard.port
    check_port(address, chosen, "choose another with `flanmoe dashboard --port PORT`")
    print(f"Dashboard: http://{address}:{chosen}  (Ctrl-C ends it)", flush=True)
    project = project_of(root)
    os.environ.update(dashboard_environment(project, params))
    os.execv(sys.executable, [sys.executable, "-m", *streamlit_command(project, address, chosen)])


def dashboard_environment(project: Path, params: Params) -> dict[str, str]:
    """Return the variables by which the dashboard finds the registry."""
    from flows.config.environment import PROJECT_VARIABLE
    from flows.runtime.project_policy import policy_path

    return {
        PROJECT_VARIABLE: str(project),
        "FLANMOE_ARTIFACTS": params.registry.artifacts,
        "FLANMOE_POLICY": str(policy_path(project)),
        "FLANMOE_ACCOUNT_CLAIM": params.dashboard.account_claim,
        "FLANMOE_PREDICT_TIMEOUT_S": str(params.dashboard.predict_timeout_s),
        "FLANMOE_PREDICT_MEMORY_MB": str(params.dashboard.predict_memory_mb),
    }


def streamlit_command(project: Path, address: str, port: int) -> list[str]:
    """Return module and arguments that serve the dashboard of `dashboard_environment`."""
    package = find_spec("dashboard")
    assert package is not None
    assert package.origin is not None
    app = Path(package.origin).parent / "entry" / "app.py"
    options = {
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none",
        "logger.level": "warning",
        "client.toolbarMode": "minimal",
        "secrets.files": str(project / ".streamlit" / "secrets.toml"),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return ["streamlit", "run", str(app), *arguments]
