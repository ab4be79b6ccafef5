"""Where batches run: in this process, in worker processes of this machine, or on a Dask cluster.

Batches are independent, so the choice does not change any response.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.allocation import keep_freed_memory
from models.determinism import make_deterministic
from models.errors import ModelError
from models.evaluation.batches import RequestBatch, Response, run_batch
from models.evaluation.params import EvaluationParams
from models.evaluation.predictor import Seq2SeqPredictor

CONNECT_TIMEOUT_S = 20


@dataclass(frozen=True)
class PredictorSpec:
    """Paths and settings from which a worker process loads its predictor."""

    weights: Path
    tokenizer: Path
    max_input_tokens: int
    threads: int


class BatchRunner(AbstractContextManager["BatchRunner"]):
    """Runs batches; worker processes start with the first batches and end with the context.

    Args:
        spec: the predictor that worker processes load.
        predictor: the same predictor, loaded in this process.
        params: engine, number of workers and the cluster's address.
    """

    def __init__(
        self, spec: PredictorSpec, predictor: Seq2SeqPredictor, params: EvaluationParams
    ) -> None:
        self.spec, self.predictor, self.params = spec, predictor, params
        self._stack = ExitStack()
        self._executor: Executor | None = None

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run_batches(
        self, batches: Sequence[RequestBatch]
    ) -> Iterator[tuple[RequestBatch, list[Response]]]:
        """Run batches and yield each with its responses, in the order of completion.

        Raises:
            ModelError: a worker process died, or the cluster is not reachable.
        """
        if self.params.engine == "local" and (self.params.workers == 1 or len(batches) < 2):
            for batch in batches:
                yield batch, run_batch(batch, self.predictor)
            return
        if self._executor is None:
            self._executor = self._stack.enter_context(_start_executor(self.params))
        futures = {
            self._executor.submit(_run_in_worker, batch, self.spec): batch for batch in batches
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise ModelError(
                "an evaluation worker died, perhaps out of memory; lower "
                "models.evaluation.workers or max_batch_tokens and run the same command to resume"
            ) from None
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def _start_executor(params: EvaluationParams) -> Iterator[Executor]:
    if params.engine == "dask":
        with _dask_executor(params) as executor:
            yield executor
        return
    # Forked from a server process that has imported torch and runs no thread; a fork of this
    # process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(params.workers, mp_context=context) as executor:
        yield executor


@contextmanager
def _dask_executor(params: EvaluationParams) -> Iterator[Executor]:
    from distributed import Client

    address = params.scheduler or os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    options: dict[str, Any] = {"address": address}
    if not address:
        options = {
            "n_workers": params.workers,
            "threads_per_worker": 1,
            "host": "127.0.0.1",
            "dashboard_address": None,
        }
    try:
        client = Client(timeout=CONNECT_TIMEOUT_S, set_as_default=False, **options)
    except (OSError, TimeoutError, ValueError) as error:
        raise ModelError(
            f"models.evaluation.scheduler: {address!r} is not reachable "
            f"({' '.join(str(error).split())}); start it, or set engine: local"
        ) from None
    with client, client.get_executor() as executor:
        yield executor


def _run_in_worker(batch: RequestBatch, spec: PredictorSpec) -> list[Response]:
    return run_batch(batch, _load_predictor(spec))


@lru_cache(maxsize=1)
def _load_predictor(spec: PredictorSpec) -> Seq2SeqPredictor:
    make_deterministic(spec.threads)
    keep_freed_memory()
    return Seq2SeqPredictor.load(spec.weights, spec.tokenizer, spec.max_input_tokens)
