"""The Dask cluster of a run: it starts before the data stages and ends with the run.

Prefect's Dask task runner starts it, so every cluster class that it supports works: local
processes, Kubernetes, Slurm. Stages are separate processes; they read the scheduler's address from
Dask's own environment variable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flows.config.schema import Params
from flows.errors import FlowError

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
LOCAL = "distributed.LocalCluster"


@contextmanager
def start_cluster(params: Params) -> Iterator[str | None]:
    """Start the cluster of `flows.dask_cluster_class` for the duration of the block.

    Yields:
        The scheduler's address; None if the engine is not Dask, or if params.yaml or the
        environment already names a scheduler.

    Raises:
        FlowError: the cluster does not start.
    """
    data, flows = params.data_pipelines, params.flows
    if data.engine != "dask" or data.scheduler or os.environ.get(ADDRESS_VARIABLE):
        yield None
        return
    from prefect_dask.task_runners import DaskTaskRunner

    options = dict(flows.dask_cluster_kwargs)
    if flows.dask_cluster_class == LOCAL:
        num_workers = data.workers or len(os.sched_getaffinity(0))
        options = {
            "n_workers": num_workers,
            "threads_per_worker": 1,
            "host": "127.0.0.1",
            "dashboard_address": None,
            **options,
        }
    with ExitStack() as stack:
        try:
            runner = DaskTaskRunner(cluster_class=flows.dask_cluster_class, cluster_kwargs=options)
            stack.enter_context(runner)
            address = str(runner.client.scheduler.address)
        except Exception as error:  # any exception of the configured class
            reason = " ".join(str(error).split())
            raise FlowError(
                f"flows.dask_cluster_class: {flows.dask_cluster_class!r} does not start: {reason}"
            ) from None
        os.environ[ADDRESS_VARIABLE] = address
        try:
            yield address
        finally:
            del os.environ[ADDRESS_VARIABLE]
