"""The registry as a page sees it: every query once for each revision, for all sessions.

An interaction that changes nothing in the registry costs the query of its revision only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import streamlit as st

from registry.database_url import URL_VARIABLE, database_url
from registry.store import Registry

PROJECT_VARIABLE = "FLANMOE_PROJECT_DIR"
ARTIFACTS_VARIABLE = "FLANMOE_ARTIFACTS"
"""`registry.artifacts` of the project's params.yaml."""
POLICY_VARIABLE = "FLANMOE_POLICY"
"""The project's promotion policy; by default policy.yaml of the project."""
WAIT_S = 2.0
"""How long a page waits for a process that has locked the database."""
_MAX_RESULTS = 300

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
FileState = tuple[int, ...]


@dataclass(frozen=True)
class RegistryView:
    """The registry at one revision."""

    registry: Registry
    revision: int
    as_of: datetime
    key: str
    """Changes with everything that results depend on: database, revision, policy and day."""

    def read(
        self,
        function: Callable[Concatenate[Registry, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Return a result of the registry; it is computed once for each revision.

        Args:
            function: a method of `Registry`, or a function of it; the result is not to be changed.
            args: its other arguments.
            kwargs: its keyword arguments.
        """
        name = f"{function.__module__}.{function.__qualname__}"
        call = f"{name} {args!r} {sorted(kwargs.items())!r}"
        result = _call(self.key, call, lambda: function(self.registry, *args, **kwargs))
        return cast(Result, result)


def project_folder() -> Path:
    """Return the folder of the project to show: FLANMOE_PROJECT_DIR or the current folder."""
    return Path(os.environ.get(PROJECT_VARIABLE, "."))


def open_view() -> RegistryView:
    """Open the registry of the project at its present revision.

    Raises:
        RegistryError: it cannot be opened, is of a newer release, or does not answer in time.
    """
    project = project_folder()
    policy = _policy_path(project)
    database = (
        os.environ.get(URL_VARIABLE, ""),
        os.environ.get(ARTIFACTS_VARIABLE, ""),
        str(project.resolve()),
        str(policy),
        *_file_identity(project),
    )
    registry = _open(database)
    revision, now = registry.revision(), datetime.now(UTC)
    key = repr((database, revision, file_state(policy), now.date()))
    return RegistryView(registry=registry, revision=revision, as_of=now, key=key)


def _policy_path(project: Path) -> Path:
    configured = os.environ.get(POLICY_VARIABLE)
    return Path(configured) if configured else project / "policy.yaml"


def _file_identity(project: Path) -> FileState:
    """Return numbers that change when the file of a SQLite database is removed or replaced."""
    url = database_url(project)
    if url.get_backend_name() != "sqlite" or not url.database:
        return ()
    try:
        state = Path(url.database).stat()
    except OSError:
        return ()
    return state.st_dev, state.st_ino


def file_state(path: Path) -> FileState:
    """Return numbers that change when a file is written; empty without the file."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_mtime_ns, state.st_size


@st.cache_resource(max_entries=8, show_spinner=False)
def _open(database: tuple[Any, ...]) -> Registry:
    """Open the registry once for each database; `database` is the cache's key."""
    project = project_folder()
    return Registry.open(
        project,
        os.environ.get(ARTIFACTS_VARIABLE, ""),
        policy_path=_policy_path(project),
        wait_s=WAIT_S,
    )


@st.cache_resource(max_entries=_MAX_RESULTS, show_spinner="Reading the registry …")
def _call(key: str, call: str, _function: Callable[[], Any]) -> Any:
    """Return a result; `key` and `call` are the cache's key."""
    return _function()
