"""URL of the registry's database: a SQLite file of the project, or FLANMOE_DATABASE_URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from registry.errors import RegistryUnreachable

URL_VARIABLE = "FLANMOE_DATABASE_URL"
_EXPECTED = "expected sqlite:////folder/registry.db or postgresql://user:password@host:5432/name"
_PORT_ERROR = "a URL whose port is not a number"
_PASSWORD = re.compile(r"(//[^:/@]*):.*@", re.DOTALL)


def database_url(project: Path) -> URL:
    """Return FLANMOE_DATABASE_URL, or the URL of a SQLite file in the project's state folder.

    Raises:
        RegistryUnreachable: the variable is not the URL of a supported database.
    """
    configured = os.environ.get(URL_VARIABLE, "").strip()
    return parse_url(configured) if configured else default_url(project)


def default_url(project: Path) -> URL:
    """Return the URL of the SQLite file in the project's state folder."""
    return file_url(project / ".flanmoe" / "registry.db")


def file_url(path: Path) -> URL:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path.resolve()))


def parse_url(text: str) -> URL:
    """Parse the URL of a SQLite file or a PostgreSQL database; `postgres://` is accepted.

    Raises:
        RegistryUnreachable: the URL is invalid or of another kind of database.
    """
    # A password may contain any character, so it ends at the last @.
    shown = _PASSWORD.sub(r"\1:***@", text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        reason = _PORT_ERROR if isinstance(error, ValueError) else "not a URL"
        raise RegistryUnreachable(f"{URL_VARIABLE}: {shown} is {reason}; {_EXPECTED}") from None
    backend = url.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        problem = f"a {backend} database" if backend != "sqlite" else "no file"
        raise RegistryUnreachable(
            f"{URL_VARIABLE}: {shown} is {problem}, which is not supported; {_EXPECTED}"
        )
    return url.set(drivername="sqlite")


def show_url(url: URL) -> str:
    """Return the path of a SQLite file, or a URL without its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string()
