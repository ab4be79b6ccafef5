"""A Prefect work pool as a fleet: a real server, a process pool and its worker."""

import os
import signal
import subprocess
import sys

import pytest

from flows.fleet import work_pool
from flows.runtime.ports import free_port
from tests.factories import error_line, user_environment, wait_for
from tests.flows.fleet.factories import RUN, configure_training, run_record

pytestmark = [pytest.mark.process, pytest.mark.multiprocess, pytest.mark.e2e]


def test_train_work_pool_starts_both_nodes_of_a_run(
    finished_copy, prefect_server, tmp_path, monkeypatch
):
    rendezvous = free_port()
    environment = user_environment(
        PREFECT_API_URL=prefect_server.url, PREFECT_HOME=str(tmp_path / "prefect"),
        DO_NOT_TRACK="1", PREFECT_WORKER_QUERY_SECONDS="1",
        PYTHONPATH=str(finished_copy.folder),
    )  # fmt: skip
    fleet = {
        "launcher": "work_pool", "nodes": 2, "endpoint": f"127.0.0.1:{rendezvous}",
        "work_pool": "machines", "project_dir": str(finished_copy.folder),
    }  # fmt: skip
    configure_training(finished_copy, 8, fleet=fleet)
    prefect = [sys.executable, "-m", "prefect"]
    rejected = finished_copy.invoke("train", RUN, **environment)
    assert rejected.returncode == 1
    assert "'machines'" in rejected.stderr
    assert "create it first" in rejected.stderr
    subprocess.run(
        [*prefect, "work-pool", "create", "machines", "--type", "process"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(work_pool, "WORKER_TIMEOUT_S", 0)
        line = error_line(finished_copy.invoke("train", RUN, **environment))
    assert "'machines' has no worker that is online; start `prefect worker start" in line
    log_file = tmp_path / "worker.log"
    with log_file.open("w") as log:
        worker = subprocess.Popen(
            [*prefect, "worker", "start", "--pool", "machines"], env=environment,
            cwd=finished_copy.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        done = finished_copy.invoke("train", RUN, **environment)
        assert done.returncode == 0, done.stdout + done.stderr + log_file.read_text()[-3000:]
    finally:
        worker.terminate()
        if not wait_for(lambda: worker.poll() is not None, 30):
            os.killpg(worker.pid, signal.SIGKILL)
    assert run_record(finished_copy)["world_size"] == 2
