"""Where the parts of a stage run: on this machine's cores, or on a Dask cluster.

A stage cuts its work into parts that are files, each made by one pure function; so the result is
the same whoever runs them, byte for byte, and a part whose worker died is simply made again.
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

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
CONNECT_SECONDS = 20
"""How often a part may take its worker with it before the stage gives up."""


class Engine(Protocol):
    """Runs a function over items. Results come in the items' order.

    `few`: so many items are sooner done in this process than workers are started.
    """

    workers: int

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], few: int = 1
    ) -> Iterator[Result]: ...


@contextmanager
def open_engine(params: EngineParams) -> Iterator[Engine]:
    """Raises DataError when the scheduler does not answer."""
    if params.engine == "dask":
        with _dask(params) as cluster:
            yield cluster
    else:
        local = Local(params.workers or _cores())
        try:
            yield local
        finally:
            local.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Local:
    """Processes of this machine; a single part, or one worker, runs right here."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], few: int = 1
    ) -> Iterator[Result]:
        if self.workers == 1 or len(items) <= few:
            yield from map(function, items)
            return
        waiting = deque(enumerate(items))
        running: dict[int, Future[Result]] = {}
        deaths = dict.fromkeys(range(len(items)), 0)
        for due in range(len(items)):
            while True:
                # A few parts ahead of the one that is due: memory does not grow with their number.
                while waiting and len(running) < 2 * self.workers:
                    index, item = waiting.popleft()
                    running[index] = self._submit(function, item)
                try:
                    result = running[due].result()
                    break
                except BrokenProcessPool:
                    self.close()
                    deaths[due] += 1
                    if deaths[due] >= TRIES:
                        raise DataError(
                            f"a worker process died {TRIES} times over part {due + 1} of "
                            f"{len(items)}: out of memory? Lower data_pipelines.workers or "
                            "data_pipelines.memory_mb"
                        ) from None
                    waiting.extendleft((i, items[i]) for i in sorted(running, reverse=True))
                    running.clear()
            del running[due]
            yield result

    def _submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initializer=_follow_parent
            )
        try:
            return self._pool.submit(function, item)
        except BrokenProcessPool as error:
            # Found out while handing over: the wait for this part tells it.
            failed: Future[Result] = Future()
            failed.set_exception(error)
            return failed

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _follow_parent() -> None:
    """A worker ends with the stage, even if that one is killed outright."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class Dask:
    """A Dask cluster's workers. They see the same files as this process."""

    client: Any
    workers: int

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], few: int = 1
    ) -> Iterator[Result]:
        from distributed import KilledWorker

        ahead = 4 * self.workers
        futures = deque(
            self.client.submit(function, item, pure=False, retries=0) for item in items[:ahead]
        )
        try:
            for index in range(len(items)):
                result = futures.popleft().result()
                if index + ahead < len(items):
                    futures.append(self.client.submit(function, items[index + ahead], pure=False))
                yield result
        except KilledWorker as error:
            raise DataError(f"Dask workers died over the same part: {error}") from None
        finally:
            self.client.cancel(list(futures))


@contextmanager
def _dask(params: EngineParams) -> Iterator[Dask]:
    from dask import config
    from distributed import Client, LocalCluster

    # DASK_SCHEDULER_ADDRESS: how a run that started a cluster tells its stages (flows/runtime/dask_cluster.py).
    address = params.scheduler or config.get("scheduler-address", None)
    if address:
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"data_pipelines.scheduler is {address!r}: no Dask scheduler answers there "
                f"({error})"
            ) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=3 * CONNECT_SECONDS)
            except TimeoutError:
                raise DataError(f"the Dask scheduler at {address} has no worker") from None
            yield Dask(client, max(1, len(client.scheduler_info(n_workers=-1)["workers"])))
        return
    workers = params.workers or _cores()
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield Dask(client, workers)
