"""Engines: order of results, retries after a worker's death, and identical outputs on Dask."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipelines.engine import LocalEngine, open_engine
from data_pipelines.errors import DataError
from data_pipelines.params import EngineParams
from flows.runtime.ports import free_port
from tests.data_pipelines.engine_tasks import crash, fail, get_pid, square, square_after_crash
from tests.factories import user_environment, wait_for

ROOT = Path(__file__).parent.parent.parent
TWO_WORKERS = EngineParams(workers=2)


@pytest.mark.process
def test_map_with_workers_yields_results_in_order():
    with open_engine(TWO_WORKERS) as engine:
        assert list(engine.map(square, range(40))) == [n * n for n in range(40)]
        assert list(engine.map(square, [])) == []


def test_map_with_fewer_tasks_than_minimum_starts_no_worker():
    engine = LocalEngine(2)
    assert list(engine.map(get_pid, [3, 4], min_parallel_tasks=3)) == [os.getpid()] * 2


def test_map_with_a_single_worker_runs_in_this_process():
    with open_engine(EngineParams(workers=1)) as engine:
        assert list(engine.map(get_pid, range(5))) == [os.getpid()] * 5


@pytest.mark.process
def test_map_after_killed_workers_yields_every_result(tmp_path):
    tasks = [(str(tmp_path), number) for number in range(12)]
    with open_engine(TWO_WORKERS) as engine:
        assert list(engine.map(square_after_crash, tasks)) == [n * n for n in range(12)]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.process
def test_map_of_a_task_that_always_kills_its_worker_raises_a_single_line_error():
    message = r"^a worker process died 3 times during part 1 of 2, possibly out of memory; lower "
    with open_engine(TWO_WORKERS) as engine, pytest.raises(DataError, match=message) as error:
        list(engine.map(crash, range(2)))
    assert "\n" not in str(error.value)


@pytest.mark.process
def test_map_of_a_failing_task_raises_its_error():
    with open_engine(TWO_WORKERS) as engine, pytest.raises(ValueError, match="no 0"):
        list(engine.map(fail, range(4)))


# Dask --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Address of a Dask scheduler with two workers, each a separate process."""
    folder, port = tmp_path_factory.mktemp("dask"), free_port()
    address = f"tcp://127.0.0.1:{port}"

    def start(module, *words):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *words, "--host", "127.0.0.1"],
            cwd=folder, env={**user_environment(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    worker = ("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
    processes = [
        start("dask_scheduler", "--port", str(port), "--no-dashboard"),
        start(*worker),
        start(*worker),
    ]
    yield address
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.multiprocess
@pytest.mark.timeout(180)
def test_stages_on_a_dask_cluster_write_the_same_bytes(scheduler, finished_pipeline, tmp_path):
    for name in ("raw", "eval_data"):
        shutil.copytree(finished_pipeline.path(name), tmp_path / "data" / name)
    pipeline = finished_pipeline.replace(
        workspace=tmp_path,
        engine=EngineParams(engine="dask", scheduler=scheduler, memory_mb=256),
    )
    pipeline.run("read", "clean", "mix", "validate", "tokenizer", "pack")
    local, dask = finished_pipeline.read_bytes(), pipeline.read_bytes()
    assert list(local) == list(dask)
    assert [name for name in local if local[name] != dask[name]] == []
    assert sum(name.startswith("packed/train/") for name in local) > 2


@pytest.mark.multiprocess
@pytest.mark.timeout(180)
def test_dask_map_after_killed_workers_yields_every_result(scheduler, tmp_path):
    tasks = [(str(tmp_path), number) for number in range(12)]
    with open_engine(EngineParams(engine="dask", scheduler=scheduler)) as engine:
        assert wait_for(lambda: len(engine.client.scheduler_info()["workers"]) == 2, 30)
        assert list(engine.map(square_after_crash, tasks)) == [n * n for n in range(12)]
    assert list(tmp_path.iterdir())


def test_open_engine_without_scheduler_at_the_address_raises(monkeypatch):
    monkeypatch.setattr("data_pipelines.engine.CONNECT_TIMEOUT_S", 1)
    params = EngineParams(engine="dask", scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(DataError, match="no Dask scheduler responds at"), open_engine(params):
        pass
