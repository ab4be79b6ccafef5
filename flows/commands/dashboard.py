"""`flanmoe dashboard`: Streamlit on the loopback interface."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import dashboard
from flows.config import load as check
from flows.errors import FlowError
from flows.runtime import workspace as project
from registry.store import Registry


def serve(port: int | None) -> None:
    """Replaces this process by Streamlit. Raises FlowError when the port is taken."""
    root = project.find()
    params = check.load(root / "params.yaml")
    home = project.home(root)
    # Opened once here, so that a registry that cannot be reached is said now, in one line.
    Registry.open(home, params.registry.artifacts)
    address, chosen = params.dashboard.address, port or params.dashboard.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, chosen))
        except OSError as error:
            raise FlowError(
                f"{address}:{chosen} cannot be used ({error.strerror}); choose another with "
                "`flanmoe dashboard --port PORT`"
            ) from None
    app = Path(dashboard.__file__).parent / "app.py"
    os.environ["FLANMOE_PROJECT_DIR"] = str(home)
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
