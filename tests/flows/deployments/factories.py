"""A project whose registry has versions, without any training; a Prefect server and its worker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from flows.runtime.parent_watch import PARENT_VARIABLE
from flows.runtime.ports import free_port
from registry.intake import read_submission
from registry.store import Registry
from tests.factories import ROOT, Project, copy_database, is_http_up, user_environment, wait_for
from tests.registry.factories import (
    evaluation_record,
    run_record,
    task_score,
    write_policy,
    write_run,
)

MODEL = "flan-sample"
"""`registry.model` of the project's own params.yaml."""


def project_with_versions(folder, *accuracies, num_items=400):
    """Create a project whose registry has a version for each accuracy; none is champion."""
    folder.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", "prefect.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    # The versions have no data, and were trained by no commit.
    write_policy(folder, data={"allow_unrecorded": True}, code={"require_commit": False})
    (folder / "flows").symlink_to(ROOT / "flows")
    registry = Registry.open(folder, create=True)
    (folder / "submitted").mkdir()
    for i, accuracy in enumerate(accuracies, 1):
        run = folder / "submitted" / f"run{i}"
        write_run(
            run,
            folder / "submitted" / "tokenizer",
            run=run_record(f"run{i}"),
            evaluation=evaluation_record(
                f"run{i}", [task_score(accuracy=accuracy, num_items=num_items)]
            ),
        )
        registry.register(MODEL, read_submission(run, folder / "submitted" / "tokenizer"))
    return Project(folder)


def registry_of(project):
    """Open the registry of a project."""
    return Registry.open(project.folder)


@dataclass
class PrefectProcesses:
    """A Prefect server with a database of its own, and a worker of the pool `local`."""

    folder: Path
    project: Path
    empty_database: Path | None = None
    """Copied for the server, which takes longer to create one than to start."""
    port: int = field(default_factory=free_port)
    running: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    """Further variables of the processes."""

    @property
    def url(self):
        """URL of the API."""
        return f"http://127.0.0.1:{self.port}/api"

    def start_server(self):
        """Start the server and wait until it answers."""
        if self.empty_database is not None and not (self.folder / "prefect.db").exists():
            copy_database(self.empty_database, self.folder / "prefect.db")
        self._start("server", "flows.runtime.prefect_server_process", str(self.port))
        assert wait_for(lambda: is_http_up(f"{self.url}/health"), 120), self.log("server")

    def start_worker(self, pool="local"):
        """Start a worker of a pool, named like it; it looks for runs every second."""
        self._start(pool, "prefect", "worker", "start", "--pool", pool)

    def kill(self, name):
        """Kill a process and its children with SIGKILL."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self):
        """End everything."""
        for name in list(self.running):
            self.kill(name)

    def log(self, name):
        """Return the output of a process."""
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def _start(self, name, module, *arguments):
        self.folder.mkdir(exist_ok=True)
        environment = user_environment(
            PREFECT_API_URL=self.url, PREFECT_HOME=str(self.folder), DO_NOT_TRACK="1",
            PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{self.folder}/prefect.db",
            PREFECT_WORKER_QUERY_SECONDS="1", PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PYTHONPATH=str(ROOT), **self.environment,
        )  # fmt: skip
        environment[PARENT_VARIABLE] = str(os.getpid())
        with (self.folder / f"{name}.log").open("a") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "flows.runtime.service_process", module, *arguments],
                env=environment, cwd=self.project, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
