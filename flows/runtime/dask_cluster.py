"""The Dask cluster that a run's data stages use: started with the run, gone with it.

Prefect's Dask task runner starts it, so any cluster class that one knows will do: processes of this
machine, Kubernetes, Slurm. Stages are processes of their own; they find the scheduler through
Dask's own variable.
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
def cluster(params: Params) -> Iterator[str | None]:
    """The scheduler's address while the run lasts; None where the engine is not Dask, or an
    address is named already. Raises FlowError when the cluster does not start."""
    data, flows = params.data_pipelines, params.flows
    if data.engine != "dask" or data.scheduler or os.environ.get(ADDRESS_VARIABLE):
        yield None
        return
    from prefect_dask.task_runners import DaskTaskRunner

    options = dict(flows.dask_cluster_kwargs)
    if flows.dask_cluster_class == LOCAL:
        workers = data.workers or len(os.sched_getaffinity(0))
        options = {
            "n_workers": workers,
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
        except Exception as error:  # whatever the named class raises
            reason = " ".join(str(error).split())
            raise FlowError(
                f"flows.dask_cluster_class {flows.dask_cluster_class!r} does not start: {reason}"
            ) from None
        os.environ[ADDRESS_VARIABLE] = address
        try:
            yield address
        finally:
            del os.environ[ADDRESS_VARIABLE]
