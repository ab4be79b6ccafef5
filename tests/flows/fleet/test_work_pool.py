"""A Prefect work pool as a fleet: a real server, a process pool and its worker."""

import os
import signal
import subprocess
import sys

import pytest

from tests.factories import free_port, is_http_up, user_environment, wait_for
from tests.flows.fleet.factories import RUN, configure_training, run_record

pytestmark = [pytest.mark.process, pytest.mark.multiprocess, pytest.mark.e2e]


def test_train_work_pool_starts_both_nodes_of_a_run(finished_copy, tmp_path):
    port, rendezvous = free_port(), free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = user_environment(
        PREFECT_API_URL=api, PREFECT_HOME=str(tmp_path / "prefect"),
        PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}",
        PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1",
        PREFECT_WORKER_QUERY_SECONDS="1",
        PYTHONPATH=str(finished_copy.folder),
    )  # fmt: skip
    # Creating the tables of Prefect's database takes longer than the test.
    database = finished_copy.folder / ".flanmoe" / "prefect" / "prefect.db"
    (tmp_path / "prefect.db").write_bytes(database.read_bytes())
    fleet = {
        "launcher": "work_pool", "nodes": 2, "endpoint": f"127.0.0.1:{rendezvous}",
        "work_pool": "machines", "project_dir": str(finished_copy.folder),
    }  # fmt: skip
    configure_training(finished_copy, 8, fleet=fleet)
    prefect = [sys.executable, "-m", "prefect"]
    services = []

    def start_service(*words):
        with (tmp_path / f"{words[0]}.log").open("w") as log:
            services.append(subprocess.Popen(
                [*prefect, *words], env=environment, cwd=finished_copy.folder, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            ))  # fmt: skip

    try:
        start_service("server", "start", "--port", str(port))
        assert wait_for(lambda: is_http_up(f"{api}/health"), 60)
        rejected = finished_copy.call("train", RUN, **environment)
        assert rejected.returncode == 1
        assert "'machines'" in rejected.stderr
        assert "create it first" in rejected.stderr
        subprocess.run(
            [*prefect, "work-pool", "create", "machines", "--type", "process"],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        start_service("worker", "start", "--pool", "machines")
        done = finished_copy.call("train", RUN, timeout_s=240, **environment)
        log = (tmp_path / "worker.log").read_text()[-3000:]
        assert done.returncode == 0, done.stdout + done.stderr + log
    finally:
        for process in services:
            process.terminate()
        for process in services:
            if not wait_for(lambda ended=process: ended.poll() is not None, 30):
                os.killpg(process.pid, signal.SIGKILL)
    assert run_record(finished_copy)["world_size"] == 2
