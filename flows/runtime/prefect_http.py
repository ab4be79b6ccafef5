"""Requests to a Prefect API without importing Prefect, which takes seconds."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from typing import Any
from urllib.error import HTTPError

from flows.errors import ServerError

AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
"""USER:PASSWORD of the API's basic authentication."""
SERVER_AUTH_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
"""The same, for a server that starts."""
_UNAUTHORIZED = 401


def is_healthy(url: str) -> bool:
    """Return whether a Prefect API answers; this request needs no authentication."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            # Below any other path Prefect's server answers with the page of its dashboard.
            return bool(response.read(16) == b"true")
    except (OSError, ValueError, HTTPException):
        return False


def check_access(url: str) -> None:
    """Check that the API accepts this client's credentials, and is no older than it.

    Prefect Cloud, which PREFECT_API_KEY is for, has no such check.

    Raises:
        ServerError: the API does not answer, rejects the credentials, or is of an older release.
    """
    where = f"PREFECT_API_URL is {url}"
    if not is_healthy(url):
        raise ServerError(
            f"{where}: no Prefect server answers there; start it, correct the URL, which ends in "
            "/api, or unset the variable to let `flanmoe run` start its own server"
        )
    if os.environ.get("PREFECT_API_KEY"):
        return
    try:
        server = str(request_json(f"{url}/admin/version"))
    except HTTPError as error:
        if error.code == _UNAUTHORIZED:
            state = "is not accepted" if os.environ.get(AUTH_VARIABLE) else "is not set"
            raise ServerError(
                f"{where}: the server requires authentication and "
                f"{AUTH_VARIABLE} {state}; set it to the server's USER:PASSWORD"
            ) from None
        raise ServerError(f"{where}: {error}; correct the URL") from None
    except (OSError, ValueError, HTTPException) as error:
        raise ServerError(f"{where}: {error}; start the server, or correct the URL") from None
    client = version("prefect")
    if _release(server) < _release(client):
        raise ServerError(
            f"{where}: a server of Prefect {server} is older than the client's "
            f"{client}; upgrade the server"
        )


def request_json(url: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON value that the API answers to GET, or to POST with a body."""
    headers = {"Content-Type": "application/json"}
    credentials = os.environ.get(AUTH_VARIABLE)
    if credentials:
        headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as response:
        return json.load(response)


def _release(text: str) -> tuple[int, ...]:
    """Return major and minor number."""
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
