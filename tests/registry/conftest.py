"""Both databases, and runs to register."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from registry.artifacts.store import ArtifactStore
from registry.intake import read_submission
from registry.session import open_engine
from registry.store import Registry
from tests.factories import free_port
from tests.registry.factories import (
    copy_release_0_1_0,
    evaluation_record,
    run_record,
    task_score,
    write_run,
)


def _postgres_programs():
    """Return the folder of the newest installed PostgreSQL's programs; None without one."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return programs[-1].parent if programs else None


@pytest.fixture(scope="session")
def postgres():
    """Start a PostgreSQL cluster on a free loopback port; return its URL."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    # Not below pytest's folder, which later pytest processes delete while the server runs.
    folder = Path(tempfile.mkdtemp(prefix="flanmoe-postgres-"))
    user = None
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        shutil.chown(folder, "postgres")
        user = "postgres"
    port = free_port()

    def call(program, *words):
        command = [str(programs / program), *words]
        subprocess.run(
            command, check=True, capture_output=True, cwd="/", timeout=120, user=user, group=user
        )

    data = str(folder / "data")
    call("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    call("pg_ctl", "-D", data, "-o", options, "-w", "-l", f"{folder}/log", "start")
    yield f"postgresql://postgres@127.0.0.1:{port}"
    call("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.process])])
def url(request, tmp_path):
    """Return the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = "t" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def registry(url, tmp_path):
    """Open an empty registry on each kind of database."""
    return Registry(open_engine(url), ArtifactStore.in_folder(tmp_path / "artifacts"))


@pytest.fixture
def submit(tmp_path):
    """Write the folder of a finished run and read it as the pipeline does."""

    def write_and_read(
        name="run",
        accuracy=0.6,
        *,
        flops=1e6,
        file_sha256="b" * 64,
        partial=False,
        record=None,
        run=None,
        **task,
    ):
        folder = tmp_path / f"{name}-{accuracy}-{flops}-{file_sha256[:4]}"
        task = task_score(accuracy=accuracy, file_sha256=file_sha256, **task)
        write_run(
            folder,
            tmp_path / "tokenizer",
            run=run_record(name, flops_per_token=flops, **(run or {})),
            evaluation=evaluation_record(name, [task], partial=partial, **(record or {})),
        )
        return read_submission(folder, tmp_path / "tokenizer")

    return write_and_read


@pytest.fixture
def old_registry(tmp_path):
    """Copy the registry of release 0.1.0."""
    return copy_release_0_1_0(tmp_path / "old")
