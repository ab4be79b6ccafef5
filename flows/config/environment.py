"""Environment variables of the user's shell that would break requests to local servers."""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

PROJECT_VARIABLE = "FLANMOE_PROJECT_DIR"
"""The project of the dashboard, and of the deployments in prefect.yaml."""
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def prepare_environment(environment: MutableMapping[str, str]) -> list[str]:
    """Exempt loopback from proxies, and normalise PREFECT_API_URL; child processes inherit both.

    Proxies that are not HTTP proxies are removed: Prefect's client fails on them even for hosts
    that are exempt, and no download supports them.

    Returns:
        A line for each variable that was removed.
    """
    warnings = []
    for name in [n for lower in PROXY_VARIABLES for n in (lower, lower.upper())]:
        if environment.get(name) and not _is_http_proxy(environment[name]):
            del environment[name]
            warnings.append(f"{name} is not an HTTP proxy, http://HOST:PORT; it is ignored")
    _exempt_loopback(environment)
    url = environment.get("PREFECT_API_URL")
    if url is not None:
        # Prefect appends paths that start with a slash.
        environment["PREFECT_API_URL"] = url.strip().rstrip("/")
    return warnings


def _exempt_loopback(environment: MutableMapping[str, str]) -> None:
    """Add the loopback hosts to `no_proxy` and `NO_PROXY`; libraries read either of the two."""
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in listed.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK_HOSTS if host not in hosts]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)


def _is_http_proxy(text: str) -> bool:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        # Reading the port raises ValueError if it is not a number.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
