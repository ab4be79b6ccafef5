"""`flanmoe dashboard`: Streamlit at `dashboard.address`, by default the loopback interface."""

from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from flows.commands.options import load_workspace, open_registry
from flows.errors import FlowError


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port. Default: dashboard.port.")
def dashboard(port: int | None) -> None:
    """Serve the dashboard on this machine."""
    from flows.runtime.workspace import project_of

    root, params = load_workspace()
    # Open the registry once, so that an unreachable database is reported here, in one line.
    open_registry(root, params)
    address, chosen = params.dashboard.address, port or params.dashboard.port
    _check_port(address, chosen)
    package = find_spec("dashboard")
    assert package is not None
    assert package.origin is not None
    app = Path(package.origin).with_name("app.py")
    os.environ["FLANMOE_PROJECT_DIR"] = str(project_of(root))
    os.environ["FLANMOE_ARTIFACTS"] = params.registry.artifacts
    print(f"Dashboard: http://{address}:{chosen}  (Ctrl-C ends it)", flush=True)
    options = {
        "server.address": address,
        "server.port": str(chosen),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none",
        "logger.level": "warning",
        "client.toolbarMode": "minimal",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(app), *arguments]
    os.execv(sys.executable, command)


def _check_port(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise FlowError(
                f"{address}:{port} cannot be used ({error.strerror}); choose another with "
                "`flanmoe dashboard --port PORT`"
            ) from None
