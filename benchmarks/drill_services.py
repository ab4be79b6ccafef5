"""What a drill works on: a small project, and servers that it kills and starts again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import yaml

from flows.runtime.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 600.0


def make_project(folder: Path) -> None:
    """Create a project with tiny parameters; it executes the code of this checkout."""
    (folder / "runs" / "scratch" / "weights").mkdir(parents=True)
    for name in ("dvc.yaml", ".dvcignore", "prefect.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "flows").symlink_to(ROOT / "flows")  # the entry points of prefect.yaml
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    data, models = params["data_pipelines"], params["models"]
    data["fetch"]["sample"].update(
        examples_per_family=40, held_out_items=5, text_documents=200, facts_bits_per_parameter=0.05
    )
    data["mix"]["num_examples"] = 600
    data["validate"]["min_examples"] = 5
    data["tokenizer"]["vocab_size"] = 400
    run = {"preset": "tiny_switch", "start": "scratch", "data": "train", "steps": 60}
    models["runs"], models["seeds"] = {"moe": run}, [0]
    models["evaluation"]["suites"] = ["sample"]
    models["training"].update(global_batch_size=4, checkpoint={"save_every": 10})
    policy = {"evaluation": {"min_items": 10}, "code": {"require_commit": False}}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, check=True)


@dataclass
class DrillService:
    """A server that the drill kills and starts again."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    port: int
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until its port is open."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            # PostgreSQL ends at once while processes of the killed server are still alive.
            if self.process is None or self.process.poll() is not None:
                self._start_process()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise SystemExit(f"error: {self.command[0]} does not start; see {self.folder / 'log'}")

    def kill(self) -> None:
        """Kill the server's process group with SIGKILL, if it runs."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _start_process(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                start_new_session=True, user=self.user, group=self.user,
            )  # fmt: skip


def prefect_service(folder: Path) -> DrillService:
    """Return a Prefect server with a database in a folder."""
    folder.mkdir()
    port = free_port()
    environment = {
        **clean_environment(),
        "PREFECT_HOME": str(folder),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "FLANMOE_PARENT_PID": str(os.getpid()),
    }
    command = [sys.executable, "-m", "flows.runtime.prefect_server_process", str(port)]
    return DrillService(command, folder, environment, port)


def worker_service(folder: Path, project: Path, environment: dict[str, str]) -> DrillService:
    """Return a worker of the pool `local` that executes runs in a project."""
    folder.mkdir()
    port = free_port()  # of its health check, which listens once the worker is ready
    command = [
        *(sys.executable, "-m", "flows.runtime.service_process"),
        *("prefect", "worker", "start", "--pool", "local", "--with-healthcheck"),
    ]
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        "FLANMOE_PARENT_PID": str(os.getpid()),
        "FLANMOE_PROJECT_DIR": str(project),
    }
    return DrillService(command, folder, {**environment, **settings}, port)


def postgres_service(folder: Path) -> DrillService | None:
    """Return a PostgreSQL server with a new cluster; None if it is not installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        return None
    folder.mkdir()
    user = None
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        user = "postgres"
    initdb = [
        str(programs[-1]), "-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "--no-sync"
    ]  # fmt: skip
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, user=user, group=user)
    port = free_port()
    command = [
        str(programs[-1].with_name("postgres")), "-D", f"{folder}/data", "-p", str(port),
        # What a killed server has written outlives it without fsync: the machine does not fail.
        "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(folder),
    ]  # fmt: skip
    return DrillService(command, folder, clean_environment(), port, user)


def create_database(postgres: DrillService, name: str) -> str:
    """Create a database on a PostgreSQL server that has just started; return its URL."""
    url = f"postgresql://postgres@127.0.0.1:{postgres.port}"
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
        except psycopg.OperationalError:  # it accepts no connections yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return f"{url}/{name}"


def clean_environment() -> dict[str, str]:
    """Return the environment of a user: none of flanmoe's or Prefect's variables is set."""
    prefixes = ("FLANMOE_", "PREFECT_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    path = [str(Path(sys.executable).parent), environment.get("PATH", "")]
    return {**environment, "PATH": os.pathsep.join(path), "PYTHONPATH": str(ROOT)}
