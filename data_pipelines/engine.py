"""Run the parts of a stage in worker processes on this machine or on a Dask cluster.

A stage splits its work into tasks. The result of a task and the files that it writes depend only
on the task. Results are therefore byte-identical for any engine and number of workers, and a task
whose worker died can be retried.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from data_pipelines.errors import DataError
from data_pipelines.params import EngineParams

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

MAX_ATTEMPTS = 3
"""Number of worker deaths while one result is awaited after which `LocalEngine` gives up."""
CONNECT_TIMEOUT_S = 20


class Engine(Protocol):
    """Runs a function over tasks."""

    num_workers: int

    def map(
        self,
        function: Callable[[TaskT], ResultT],
        tasks: Sequence[TaskT],
        min_parallel_tasks: int = 2,
    ) -> Iterator[ResultT]:
        """Yield the result of each task, in order.

        Args:
            function: an importable function without side effects other than the task's files.
            tasks: arguments of the function; pickled to the workers.
            min_parallel_tasks: smallest number of tasks for which worker processes are started;
                fewer tasks run in this process. A Dask cluster ignores it.

        Raises:
            DataError: a worker died repeatedly.
        """
        ...


@contextmanager
def open_engine(params: EngineParams) -> Iterator[Engine]:
    """Open the engine that the parameters select.

    Raises:
        DataError: the Dask scheduler does not respond, or has no worker.
    """
    if params.engine == "dask":
        with _open_dask(params) as cluster:
            yield cluster
    else:
        local = LocalEngine(params.workers or _num_cores())
        try:
            yield local
        finally:
            local.close()


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalEngine:
    """Worker processes on this machine.

    With a single worker, or with few tasks, the tasks run in this process.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self,
        function: Callable[[TaskT], ResultT],
        tasks: Sequence[TaskT],
        min_parallel_tasks: int = 2,
    ) -> Iterator[ResultT]:
        """Yield the result of each task, in order; see `Engine.map`.

        Raises:
            DataError: workers died MAX_ATTEMPTS times while the same result was awaited.
        """
        if self.num_workers == 1 or len(tasks) < min_parallel_tasks:
            yield from map(function, tasks)
            return
        queue = deque(enumerate(tasks))
        running: dict[int, Future[ResultT]] = {}
        num_deaths = dict.fromkeys(range(len(tasks)), 0)
        for current in range(len(tasks)):
            while True:
                # Bounded lookahead: memory does not grow with the number of tasks.
                while queue and len(running) < 2 * self.num_workers:
                    index, task = queue.popleft()
                    running[index] = self._submit(function, task)
                try:
                    result = running[current].result()
                    break
                except BrokenProcessPool:
                    self.close()
                    num_deaths[current] += 1
                    if num_deaths[current] >= MAX_ATTEMPTS:
                        raise DataError(
                            f"a worker process died {MAX_ATTEMPTS} times during part "
                            f"{current + 1} of {len(tasks)}, possibly out of memory; lower "
                            "data_pipelines.workers or data_pipelines.memory_mb"
                        ) from None
                    queue.extendleft((i, tasks[i]) for i in sorted(running, reverse=True))
                    running.clear()
            del running[current]
            yield result

    def _submit(self, function: Callable[[TaskT], ResultT], task: TaskT) -> Future[ResultT]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.num_workers,
                multiprocessing.get_context("spawn"),
                initializer=_initialize_worker,
            )
        try:
            return self._pool.submit(function, task)
        except BrokenProcessPool as error:
            # `map` handles this error where it awaits the result, like a death during the task.
            failed: Future[ResultT] = Future()
            failed.set_exception(error)
            return failed

    def close(self) -> None:
        """Stop the worker processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _initialize_worker() -> None:
    """Limit the worker to one thread, and end the worker when its parent dies, even by SIGKILL."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class DaskEngine:
    """The workers of a Dask cluster, which share a file system with this process."""

    client: Any
    num_workers: int

    def map(
        self,
        function: Callable[[TaskT], ResultT],
        tasks: Sequence[TaskT],
        min_parallel_tasks: int = 2,
    ) -> Iterator[ResultT]:
        """Yield the result of each task, in order; see `Engine.map`.

        Raises:
            DataError: Dask gave up on a task whose workers died.
        """
        from distributed import KilledWorker

        lookahead = 4 * self.num_workers
        futures = deque(
            self.client.submit(function, task, pure=False, retries=0) for task in tasks[:lookahead]
        )
        try:
            for index in range(len(tasks)):
                result = futures.popleft().result()
                if index + lookahead < len(tasks):
                    task = tasks[index + lookahead]
                    futures.append(self.client.submit(function, task, pure=False))
                yield result
        except KilledWorker as error:
            raise DataError(f"Dask workers died repeatedly during the same part: {error}") from None
        finally:
            self.client.cancel(list(futures))


@contextmanager
def _open_dask(params: EngineParams) -> Iterator[DaskEngine]:
    from dask import config
    from distributed import Client, LocalCluster

    # `flanmoe run` sets DASK_SCHEDULER_ADDRESS when it starts a cluster for all stages.
    address = params.scheduler or config.get("scheduler-address", None)
    if address:
        try:
            client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"data_pipelines.scheduler: no Dask scheduler responds at {address!r} ({error}); "
                "start one there, or leave the address empty"
            ) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=3 * CONNECT_TIMEOUT_S)
            except TimeoutError:
                raise DataError(
                    f"the Dask scheduler at {address} has no worker; start one with `dask worker`"
                ) from None
            workers = client.scheduler_info(n_workers=-1)["workers"]
            yield DaskEngine(client, max(1, len(workers)))
        return
    num_workers = params.workers or _num_cores()
    with (
        LocalCluster(
            n_workers=num_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield DaskEngine(client, num_workers)
