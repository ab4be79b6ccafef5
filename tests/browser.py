"""Chromium, and the dashboard of a project as a process, for tests of pages."""

import shutil
from contextlib import contextmanager

import pytest

from flows.runtime.ports import free_port
from tests.factories import Project, is_http_up, wait_for

CHROMIUM = shutil.which("chromium")
CHROMIUM_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
TIMEOUT_MS = 60_000
browser_test = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)"
)


@contextmanager
def serve_dashboard(folder, port=None):
    """Yield the port of the dashboard of a project; by default a free one."""
    port = port or free_port()
    server = Project(folder).start("dashboard", "--port", str(port))
    try:
        assert wait_for(lambda: is_http_up(f"http://127.0.0.1:{port}"), 120)
        yield port
    finally:
        server.terminate()
        server.wait(60)
