"""Fixtures for tests of the project as its users meet it."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.drill_services import postgres_service
from flows.runtime.parent_watch import PARENT_VARIABLE
from flows.runtime.ports import free_port
from tests.factories import (
    PLANTED_SECRETS,
    ROOT,
    Project,
    copy_database,
    copy_of_checkout,
    is_http_up,
    shared_folder,
    user_environment,
    wait_for,
)


@dataclass
class FinishedRun:
    """A project after its main job, and what the job printed."""

    project: Project
    output: str


@dataclass(frozen=True)
class PrefectServer:
    """A running Prefect server."""

    url: str
    database: Path
    empty_database: Path
    """Database with Prefect's tables and no runs: creating them takes longer than to start."""


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory, worker_id):
    """Start a Prefect server once for all pytest processes.

    It ends with the first pytest process, the one that the user started.
    """
    folder = shared_folder(tmp_path_factory, worker_id, "prefect_server")
    database, empty_database = folder / "prefect.db", folder / "empty.db"
    with FileLock(f"{folder}.lock"):
        if not (folder / "url").is_file():
            folder.mkdir(exist_ok=True)
            port = free_port()
            environment = user_environment(
                PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database}",
                PREFECT_HOME=str(folder),
                PREFECT_SERVER_ANALYTICS_ENABLED="false",
                DO_NOT_TRACK="1",
                PYTHONPATH=str(ROOT),
            )
            environment[PARENT_VARIABLE] = str(
                os.getpid() if worker_id == "master" else os.getppid()
            )
            with (folder / "log").open("w") as log:
                subprocess.Popen(
                    [sys.executable, "-m", "flows.runtime.prefect_server_process", str(port)],
                    env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            url = f"http://127.0.0.1:{port}/api"
            assert wait_for(lambda: is_http_up(f"{url}/health"), 120), (folder / "log").read_text()
            copy_database(database, empty_database)
            (folder / "url").write_text(url)
    return PrefectServer((folder / "url").read_text(), database, empty_database)


@pytest.fixture(scope="session")
def postgres():
    """Start a PostgreSQL server on a free loopback port."""
    # Not below pytest's folder, which later pytest processes delete while the server runs.
    folder = Path(tempfile.mkdtemp(prefix="flanmoe-postgres-"))
    server = postgres_service(folder / "server")
    if server is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Run the main job once for all tests that only read its results; version 2 is champion.

    The first of several pytest processes that needs it runs it; the others wait.
    """
    folder = shared_folder(tmp_path_factory, worker_id, "finished")
    output = folder / "output"
    with FileLock(f"{folder}.lock"):
        if not output.is_file():
            project = copy_of_checkout(folder / "project")
            done = project.call("run", **PLANTED_SECRETS)
            assert done.returncode == 0, done.stdout + done.stderr
            words = ("registry", "promote", 2, "--override", "for the tests")
            promoted = project.invoke(*words)
            assert promoted.returncode == 0, promoted.stdout + promoted.stderr
            output.write_text(done.stdout)
    return FinishedRun(Project(folder / "project"), output.read_text())


@pytest.fixture
def fresh_project(tmp_path):
    """A project in which nothing has run."""
    return copy_of_checkout(tmp_path / "project")


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished project that a test may change."""
    return finished.project.copy(tmp_path / "project")
