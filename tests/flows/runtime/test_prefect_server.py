"""Real Prefect servers: any folder, proxies, two at once, URLs, and databases of newer releases."""

import os
import sqlite3
import urllib.request
from contextlib import ExitStack
from unittest.mock import patch

import httpx
import pytest

from flows.config.environment import prepare_environment
from flows.errors import ServerError
from flows.runtime.ports import free_port
from flows.runtime.prefect_server import start_api
from flows.runtime.processes import ProcessGroups
from tests.factories import user_environment

pytestmark = pytest.mark.process
PROXIES = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
}


@pytest.fixture
def environment():
    """Set the environment of a user behind a proxy, as a command prepares it."""
    with patch.dict(os.environ, user_environment(**PROXIES), clear=True):
        prepare_environment(os.environ)
        urllib.request.install_opener(None)  # it has the proxies of the first request
        yield os.environ
    urllib.request.install_opener(None)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder whose name has characters that a URL interprets."""
    folder = tmp_path_factory.mktemp("prefect") / "job%2F a?b#c ü $d"
    folder.mkdir()
    return folder


def create_flow(url, name):
    """Record a flow through the API, with the proxies of the environment."""
    with httpx.Client() as client:
        client.post(f"{url}/flows/", json={"name": name}).raise_for_status()


def test_start_api_two_at_once_in_any_folder_behind_a_proxy_share_a_database(environment, project):
    with ExitStack() as stack:
        servers = []
        for number in range(2):
            servers.append(stack.enter_context(start_own(project, environment)))
            servers[number].await_healthy()
            create_flow(servers[number].url, f"flow-{number}")
        # The same servers by URL, as a user sets it.
        environment["PREFECT_API_URL"] = f"{servers[0].url}/"
        prepare_environment(environment)
        with start_api(project, ProcessGroups()) as external:
            external.await_healthy()
            assert external.url == servers[0].url
        for url in (servers[0].url.removesuffix("/api"), f"http://127.0.0.1:{free_port()}/api"):
            environment["PREFECT_API_URL"] = url
            with (
                pytest.raises(ServerError, match=r"no Prefect server answers there.*ends in /api"),
                start_api(project, ProcessGroups()),
            ):
                pytest.fail("started")
        environment["PREFECT_API_URL"] = servers[0].url
    assert [path.name for path in project.parent.iterdir()] == [project.name]
    with sqlite3.connect(project / ".flanmoe" / "prefect" / "prefect.db") as connection:
        names = connection.execute("SELECT name FROM flow ORDER BY name").fetchall()
    assert names == [("flow-0",), ("flow-1",)]


def start_own(project, environment):
    """Start a server of the run's own."""
    environment.pop("PREFECT_API_URL", None)
    return start_api(project, ProcessGroups())


def test_start_api_database_of_a_newer_prefect_is_an_error_line(environment, project):
    database = project / ".flanmoe" / "prefect" / "prefect.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    connection.close()
    with (
        pytest.raises(ServerError, match="newer release of Prefect; upgrade Prefect") as failure,
        start_own(project, environment) as api,
    ):
        api.await_healthy()
    assert "\n" not in str(failure.value)
    assert "from_the_future" in str(failure.value)
