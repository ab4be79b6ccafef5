"""`flanmoe up`: server, worker and dashboard start and end together."""

import json
import os
import signal
import socket
import urllib.request

import psutil
import pytest

from flows.runtime.ports import free_port
from tests.factories import PREFECT_DATABASE, copy_database, error_line, is_http_up, wait_for
from tests.flows.deployments.factories import project_with_versions

pytestmark = pytest.mark.process


def post(url, body):
    """Return the answer of the Prefect API."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def worker_is_online(url):
    workers = post(f"{url}/work_pools/local/workers/filter", {})
    return [worker["status"] for worker in workers] == ["ONLINE"]


@pytest.mark.multiprocess
def test_up_starts_all_and_ends_all_when_a_service_ends(prefect_server, tmp_path):
    project = project_with_versions(tmp_path / "a b", 0.5)
    copy_database(prefect_server.empty_database, project.folder / PREFECT_DATABASE)
    port, page_port = free_port(), free_port()
    url, page = f"http://127.0.0.1:{port}/api", f"http://127.0.0.1:{page_port}"
    process = project.start("up", "--port", port, "--dashboard-port", page_port)
    try:
        assert wait_for(lambda: is_http_up(f"{url}/health"), 120)
        assert wait_for(lambda: is_http_up(f"{page}/_stcore/health"), 120)
        assert wait_for(lambda: worker_is_online(url), 120)
        names = {d["name"] for d in post(f"{url}/deployments/filter", {})}
        assert names == {"on-demand", "nightly", "weekly", "with-approval", "hourly"}
        children = psutil.Process(process.pid).children(recursive=True)
        worker = next(child for child in children if "worker" in child.cmdline())
        os.kill(worker.pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: worker: ")
    assert "worker.log" in line
    assert f"export PREFECT_API_URL={url}" in output
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not is_http_up(f"{url}/health")


@pytest.mark.multiprocess
def test_up_ends_all_with_ctrl_c(prefect_server, tmp_path):
    """While the worker and the dashboard are still starting."""
    project = project_with_versions(tmp_path / "p", 0.5)
    copy_database(prefect_server.empty_database, project.folder / PREFECT_DATABASE)
    port, page_port = free_port(), free_port()
    process = project.start("up", "--port", port, "--dashboard-port", page_port)
    try:
        up = psutil.Process(process.pid)
        assert wait_for(lambda: len(up.children()) == 3, 240)
        children = up.children(recursive=True)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_up_port_in_use_is_an_error_line(tmp_path):
    project = project_with_versions(tmp_path / "p", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        line = error_line(project.invoke("up", "--port", port, "--dashboard-port", free_port()))
        assert line == (
            f"error: 127.0.0.1:{port} cannot be used (Address already in use); choose another "
            "with --port, or set PREFECT_API_URL to its URL"
        )
        line = error_line(project.invoke("up", "--dashboard-port", port))
        assert "choose another with --dashboard-port" in line
