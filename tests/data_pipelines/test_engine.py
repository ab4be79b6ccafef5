"""Engines: a worker that dies loses nothing, and whoever does the work, the bytes are the same."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipelines.engine import Local, open_engine
from data_pipelines.errors import DataError
from data_pipelines.params import EngineParams
from tests.conftest import environment_of_a_user, free_port, wait_for
from tests.data_pipelines.conftest import Room


def square(number):
    return number * number


def die_once(job):
    """Kills its own process the first time it is given this part."""
    folder, number = job
    mark = Path(folder) / f"died-{number}"
    if number % 4 == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die_always(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number):
    raise ValueError(f"no {number}")


def test_results_come_in_order():
    engine = Local(2)
    try:
        assert list(engine.map(square, range(40))) == [n * n for n in range(40)]
        assert list(engine.map(square, [])) == []
    finally:
        engine.close()


def test_a_few_parts_start_no_worker():
    engine = Local(2)
    assert list(engine.map(square, [3, 4], few=2)) == [9, 16]
    assert engine._pool is None


def test_killed_workers_lose_nothing(tmp_path):
    with open_engine(EngineParams(workers=2)) as engine:
        jobs = [(str(tmp_path), number) for number in range(12)]
        assert list(engine.map(die_once, jobs)) == [n * n for n in range(12)]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_part_that_always_kills_its_worker_ends_the_stage_with_one_line():
    with (
        open_engine(EngineParams(workers=2)) as engine,
        pytest.raises(DataError, match=r"died 3 times over part 1 of 4: out of memory\?"),
    ):
        list(engine.map(die_always, range(4)))


def test_an_error_in_a_part_is_the_stages_error():
    with open_engine(EngineParams(workers=2)) as engine, pytest.raises(ValueError, match="no 0"):
        list(engine.map(fail, range(4)))


# Dask --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A real scheduler and two workers, each a process of its own: its address."""
    folder, port = tmp_path_factory.mktemp("dask"), free_port()
    address = f"tcp://127.0.0.1:{port}"
    root = Path(__file__).parent.parent.parent
    environment = {**environment_of_a_user(), "PYTHONPATH": str(root)}

    def start(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    processes = [
        start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    ]
    for _ in range(2):
        processes.append(
            start("dask_worker", address, "--nthreads", "1", "--host", "127.0.0.1",
                  "--no-dashboard", "--death-timeout", "60")
        )  # fmt: skip
    yield address
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)


@pytest.mark.timeout(180)
def test_a_cluster_gives_the_same_bytes(scheduler, tmp_path):
    local = Room(tmp_path / "local").run("fetch", "benchmarks")
    cluster = Room(
        tmp_path / "dask",
        engine=EngineParams(engine="dask", scheduler=scheduler, memory_mb=256),
    ).run("fetch", "benchmarks")
    stages = ("read", "clean", "mix", "validate", "tokenizer", "pack")
    local.run(*stages)
    cluster.run(*stages)

    def contents(room):
        folder = room.workspace / "data"
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    ours, theirs = contents(local), contents(cluster)
    assert list(ours) == list(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert sum(name.startswith("packed/train/") for name in ours) > 2


@pytest.mark.timeout(180)
def test_a_killed_dask_worker_loses_nothing(scheduler, tmp_path):
    with open_engine(EngineParams(engine="dask", scheduler=scheduler)) as engine:
        assert wait_for(lambda: len(engine.client.scheduler_info()["workers"]) == 2, 30)
        jobs = [(str(tmp_path), number) for number in range(12)]
        assert list(engine.map(die_once, jobs)) == [n * n for n in range(12)]
    assert list(tmp_path.iterdir())


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr("data_pipelines.engine.CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    params = replace(EngineParams(engine="dask", scheduler=address))
    with pytest.raises(DataError, match="no Dask scheduler answers there"), open_engine(params):
        pass
