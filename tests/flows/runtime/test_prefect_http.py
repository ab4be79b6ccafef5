"""What answers at PREFECT_API_URL is checked before any work; credentials in test_team_server."""

from importlib.metadata import version

import pytest

from flows.errors import ServerError
from flows.runtime.prefect_http import check_access
from tests.http_server import QuietHandler, serve_requests


@pytest.fixture
def server():
    """A server in the place of Prefect's: path -> its answer; others get the page of the UI."""
    answers = {}

    class ApiHandler(QuietHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers.get(self.path, "<html>").encode())

    with serve_requests(ApiHandler) as url:
        yield url, answers


def test_check_access_of_the_present_release_is_silent(server):
    url, answers = server
    answers |= {"/api/health": "true", "/api/admin/version": f'"{version("prefect")}"'}
    check_access(f"{url}/api")


@pytest.mark.parametrize(
    ("path", "released", "message"),
    [
        ("", "3.8.8", "no Prefect server answers there; start it, correct the URL, which ends in"),
        ("/api", "2.20.4", "a server of Prefect 2.20.4 is older than the client's 3."),
        ("/api", "3.1.0", "a server of Prefect 3.1.0 is older than the client's 3."),
    ],
)
def test_check_access_of_another_page_or_an_old_server_is_rejected(server, path, released, message):
    url, answers = server
    answers |= {"/api/health": "true", "/api/admin/version": f'"{released}"'}
    with pytest.raises(ServerError) as error:
        check_access(f"{url}{path}")
    assert str(error.value).startswith(f"PREFECT_API_URL is {url}{path}: {message}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense", "http://host.invalid/api"])
def test_check_access_where_nothing_answers_is_rejected(url):
    with pytest.raises(ServerError, match="no Prefect server answers there"):
        check_access(url)
