"""The receiver of alerts."""

import json

import pytest

from tests.http_server import QuietHandler, serve_requests


@pytest.fixture
def webhook():
    """A local server; yields its URL and the messages it received, by subject."""
    received = {}

    class AlertHandler(QuietHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.setdefault(body["title"], []).append(body["text"])
            self.send_response(204)
            self.end_headers()

    with serve_requests(AlertHandler) as url:
        yield f"{url}/alerts", received
