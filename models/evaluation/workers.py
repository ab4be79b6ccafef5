"""Who answers the batches: this process, several of this machine, or a Dask cluster.

A batch is run_batches alone, so who does it changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.allocation import keep_freed_memory
from models.determinism import make_deterministic
from models.errors import ModelError
from models.evaluation.batches import Batch, Response, answer
from models.evaluation.params import EvaluationParams
from models.evaluation.predictor import Seq2SeqPredictor

CONNECT_SECONDS = 20


@dataclass(frozen=True)
class PredictorSpec:
    """What another process loads the model from."""

    weights: Path
    tokenizer: Path
    max_input: int
    threads: int


def run_batches(
    batches: Sequence[Batch], source: PredictorSpec, answerer: Seq2SeqPredictor, params: EvaluationParams
) -> Iterator[tuple[Batch, list[Response]]]:
    """Every batch with its responses, in the order in which they are done.

    Raises ModelError when a process dies or the cluster does not answer.
    """
    if params.engine == "local" and (params.workers == 1 or len(batches) < 2):
        for batch in batches:
            yield batch, answer(batch, answerer)
        return
    with _executor(params) as executor:
        futures = {executor.submit(_answer, batch, source): batch for batch in batches}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise ModelError(
                "a process that run_batches a batch died, perhaps for memory: lower "
                "models.evaluation.workers or max_batch_tokens; the same command continues"
            ) from None
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def _executor(params: EvaluationParams) -> Iterator[Executor]:
    if params.engine == "dask":
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
            client = Client(timeout=CONNECT_SECONDS, set_as_default=False, **options)
        except (OSError, TimeoutError, ValueError) as error:
            raise ModelError(
                f"models.evaluation.scheduler {address!r} does not answer "
                f"({' '.join(str(error).split())}); start it, or set engine: local"
            ) from None
        with client, client.get_executor() as executor:
            yield executor
        return
    # Spawned: a forked process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(params.workers, mp_context=context) as executor:
        yield executor


def _answer(batch: Batch, source: PredictorSpec) -> list[Response]:
    return answer(batch, _loaded(source))


@lru_cache(maxsize=1)
def _loaded(source: PredictorSpec) -> Seq2SeqPredictor:
    make_deterministic(source.threads)
    keep_freed_memory()
    return Seq2SeqPredictor.load(source.weights, source.tokenizer, source.max_input)
