"""Prefect's HTTP API: its address, credentials and the pages of its user interface."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

API_VARIABLE = "PREFECT_API_URL"
AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
"""USER:PASSWORD of Prefect's basic authentication."""
KEY_VARIABLE = "PREFECT_API_KEY"
UI_VARIABLE = "PREFECT_UI_URL"


def api_url() -> str:
    """Return the address of Prefect's API without a slash at its end; empty if it is not set."""
    return os.environ.get(API_VARIABLE, "").rstrip("/")


def post(path: str, content: Mapping[str, Any], *, timeout_s: float) -> Any:
    """Send a request to Prefect's API.

    Args:
        path: below the API's address.
        content: JSON values.
        timeout_s: longest time without an answer.

    Raises:
        httpx.HTTPError: there is no answer, or it is an error.
        ValueError: the answer is not JSON, or the address is not valid.
    """
    user, _, password = os.environ.get(AUTH_VARIABLE, "").partition(":")
    key = os.environ.get(KEY_VARIABLE)
    url = f"{api_url()}/{path}"
    try:
        response = httpx.post(
            url,
            json=dict(content),
            auth=(user, password) if user else None,
            headers={"Authorization": f"Bearer {key}"} if key and not user else None,
            timeout=timeout_s,
            trust_env=not _is_loopback(url),  # never through a proxy to this machine
        )
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    response.raise_for_status()
    return response.json()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def flow_run_page(identifier: str) -> str | None:
    """Return the address of a flow run's page with its log; None if the id is not valid."""
    base = os.environ.get(UI_VARIABLE) or api_url().removesuffix("/api")
    try:
        return f"{base.rstrip('/')}/runs/flow-run/{UUID(identifier)}" if base else None
    except ValueError:
        return None
