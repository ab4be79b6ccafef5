"""Batches in worker processes and on a Dask cluster."""

import dataclasses

import pyarrow.parquet as pq
import pytest

from models.errors import ModelError
from models.evaluation import workers
from models.replicate import Replicate
from models.stages import evaluate


def read_rows(workspace, suites):
    rows = pq.read_table(workspace / "runs/moe/seed_0/samples.parquet").to_pylist()
    return [row for row in rows if row["suite"] in suites]


@pytest.mark.multiprocess
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_evaluate_with_two_workers_gives_the_same_rows(evaluated, workspace, many_suites, engine):
    """Multiple choice and free text, in one pool of workers."""
    suites = ("sample",)
    params = dataclasses.replace(many_suites, suites=suites, workers=2, engine=engine)
    evaluate.run(Replicate("moe", 0), params, workspace)
    assert read_rows(workspace, suites) == read_rows(evaluated, suites)


def test_run_batches_with_an_unreachable_scheduler_names_it(workspace, params, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_TIMEOUT_S", 1)
    params = dataclasses.replace(params, engine="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"scheduler: 'tcp://127\.0\.0\.1:9' is not reachable"):
        evaluate.run(Replicate("moe", 0), params, workspace)
