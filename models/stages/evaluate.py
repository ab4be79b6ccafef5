"""Stage `evaluate`: score one seed of a run on evaluation suites, through lm-evaluation-harness.

Writes into runs/NAME/seed_N: evaluation.json (the evaluation record), scores.json (DVC metrics),
samples.parquet (one row per item); and speed.json (measured time per item, if nothing else ran),
which differs whenever the stage runs again, and which DVC does not track.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from data_pipelines.files import sha256, write_bytes, write_json
from models import layout
from models.allocation import keep_freed_memory
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.evaluation.device import model_device, model_precision
from models.evaluation.eval_data import EvalData
from models.evaluation.evaluation_record import (
    ContaminationCount,
    EvaluationRecord,
    OverlapSelfTest,
)
from models.evaluation.generation_limit import generation_limit
from models.evaluation.harness_tasks import SCORING_VERSION, run_tasks, task_config
from models.evaluation.params import EvaluationParams
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.problems import problem_lines
from models.evaluation.prompts import build_prompts
from models.evaluation.response_cache import ResponseCache
from models.evaluation.samples import PreparedTask, SampleRow, sample_rows
from models.evaluation.scoring import score_evaluation
from models.evaluation.speed import measure_speed
from models.evaluation.suite import Suite, load_suite
from models.evaluation.workers import BatchRunner, PredictorSpec
from models.replicate import Replicate
from models.weights import is_imported

logger = logging.getLogger(__name__)

Contamination = dict[str, dict[str, Any]]
"""Suite -> the counts and item ids of data/mixture/contamination.json."""


def run(
    replicate: Replicate,
    params: EvaluationParams,
    workspace: Path,
    *,
    is_data_known: bool = True,
) -> None:
    """Evaluate a run with one seed.

    Args:
        replicate: the run and its seed, which has weights.
        params: suites, batch sizes and workers.
        workspace: folder of data/ and runs/.
        is_data_known: whether data/ has the mixture that the run was trained on. Without it, the
            items that overlap with the training data are not counted.

    Raises:
        ModelError: weights are missing, a suite is unknown, or evaluation items were altered.
    """
    make_deterministic(params.threads)
    keep_freed_memory()
    folder, name = workspace / replicate.folder, replicate.label
    suites = [load_suite(suite) for suite in params.suites]
    weights, tokenizer = folder / "weights", workspace / layout.TOKENIZER
    contamination: Contamination | None = None
    if is_data_known and not is_imported(weights):
        contamination = _read_json(workspace / layout.CONTAMINATION, "mix")
    predictor = Seq2SeqPredictor.load(weights, tokenizer, params.max_input_tokens)
    spec = PredictorSpec(
        weights=weights,
        tokenizer=tokenizer,
        max_input_tokens=predictor.max_input_tokens,
        threads=params.threads,
    )
    weights_sha256 = sha256(spec.weights / "model.safetensors")
    eval_data = EvalData.open(workspace / layout.EVAL_DATA)
    tasks, missing = _prepare_tasks(suites, eval_data, predictor, params)
    cache_name = f"{_response_key(weights_sha256, spec, predictor)}.jsonl"
    cache = ResponseCache(workspace / layout.RESPONSES / name / cache_name)
    rows = _run_tasks(tasks, predictor, cache, spec, params, contamination)
    overall, suite_scores, task_scores = score_evaluation(suites, tasks, rows, missing)
    for line in problem_lines(task_scores):
        logger.warning("%s, %s", name, line)
    _write_samples(folder / "samples.parquet", [row for task_rows in rows for row in task_rows])
    record = EvaluationRecord(
        name=replicate.run,
        overall=overall,
        suites=suite_scores,
        tasks=task_scores,
        contamination={
            suite: ContaminationCount(
                num_items=counts["num_items"], num_contaminated=counts["num_contaminated"]
            )
            for suite, counts in (contamination or {}).items()
        },
        overlap_self_test=_read_self_test(workspace / layout.SELF_TEST) if is_data_known else None,
        data_warnings=[] if contamination is None else _data_warnings(workspace),
        max_input_tokens=spec.max_input_tokens,
        device=model_device(predictor.model).type,
        precision=model_precision(predictor.model),
        torch_version=torch.__version__,
        weights_sha256=weights_sha256,
        samples_sha256=sha256(folder / "samples.parquet"),
        params=params,
    )
    write_json(folder / "scores.json", record.metrics())
    requests = [request for task in tasks for request in task.requests()]
    speed = measure_speed(predictor, requests, params, weights_sha256)
    if speed.reason:
        logger.info("%s: the time per item is not recorded: %s", name, speed.reason)
    write_json(folder / "speed.json", speed.to_dict())
    write_json(folder / "evaluation.json", record.to_dict())
    shutil.rmtree(cache.path.parent)


def _prepare_tasks(
    suites: list[Suite],
    eval_data: EvalData,
    predictor: Seq2SeqPredictor,
    params: EvaluationParams,
) -> tuple[list[PreparedTask], dict[str, list[str]]]:
    """Return every task with its prompts, and the names of each suite's missing tasks."""
    prepared, missing = [], {}
    for suite in suites:
        tasks, missing[suite.name] = eval_data.load_tasks(suite, params.limit)
        prepared += [
            PreparedTask(
                suite=suite,
                task=task,
                prompts=build_prompts(
                    suite, task, predictor.num_tokens, predictor.max_input_tokens
                ),
                max_new_tokens=min(
                    params.max_new_tokens or sys.maxsize,
                    generation_limit(
                        suite, tasks, task, lambda text: len(predictor.tokenizer.encode(text))
                    ),
                ),
            )
            for task in tasks
        ]
    return prepared, missing


def _run_tasks(
    tasks: list[PreparedTask],
    predictor: Seq2SeqPredictor,
    cache: ResponseCache,
    spec: PredictorSpec,
    params: EvaluationParams,
    contamination: Contamination | None,
) -> list[list[SampleRow]]:
    """Return the rows of each task's items."""
    from models.evaluation.adapter import Seq2SeqLM

    with BatchRunner(spec, predictor, params) as runner:
        model = Seq2SeqLM(
            predictor,
            runner.run_batches,
            cache,
            batch_size=params.batch_size,
            max_batch_tokens=params.max_batch_tokens,
        )
        logs = run_tasks(model, [task_config(task) for task in tasks])
    rows = []
    for task in tasks:
        log = logs[task.name]
        if [entry["doc"]["id"] for entry in log] != [prompt.id for prompt in task.prompts]:
            raise DataMismatch(
                f"{task.name}: the items that the harness scored are not the task's items"
            )
        contaminated: set[str] | None = None
        if contamination is not None:
            suite_contamination = contamination.get(task.task.dataset, {"tasks": {}})
            contaminated = set(suite_contamination["tasks"].get(task.task.file, ()))
        rows.append(sample_rows(task, log, model.responses, predictor.model.config, contaminated))
    return rows


def _response_key(weights_sha256: str, spec: PredictorSpec, predictor: Seq2SeqPredictor) -> str:
    """Hash everything that a response depends on, apart from its batch."""
    tokenizer = predictor.tokenizer.processor.serialized_model_proto()
    tokenizer_sha256 = hashlib.sha256(tokenizer).hexdigest()
    parts = [weights_sha256, tokenizer_sha256, spec.max_input_tokens, spec.threads]
    return hashlib.sha256(f"{parts} {SCORING_VERSION}".encode()).hexdigest()[:16]


def _write_samples(path: Path, rows: list[SampleRow]) -> None:
    buffer = pa.BufferOutputStream()
    table = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows])
    # Prompts of a task repeat their exemplars, which zstd stores once.
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue().to_pybytes())


def _read_json(path: Path, stage: str) -> Any:
    """Read a file that an earlier stage writes."""
    if not path.is_file():
        raise DataMismatch(f"{path} is missing; run `flanmoe {stage}`")
    return json.loads(path.read_text(encoding="utf-8"))


def _read_self_test(path: Path) -> OverlapSelfTest:
    """Return the self-test of the contamination check; without one, its recall is 0."""
    if not path.is_file():
        return OverlapSelfTest()
    return OverlapSelfTest.from_json(json.loads(path.read_text(encoding="utf-8")))


def _data_warnings(workspace: Path) -> list[str]:
    """Return a line for each data expectation that fails without blocking."""
    return [
        f"{finding['suite']}: {finding['expectation']} {finding['column']} "
        f"({finding['limits']}), seen {finding['observed']}"
        for path in layout.VALIDATION_RESULTS
        for finding in _read_json(workspace / path, "validate")
        if not finding["success"]
    ]
