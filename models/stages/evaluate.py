"""Stage `evaluate`: one run on the suites of the params, through lm-evaluation-harness.

Writes into runs/NAME: evaluation.json (the record), scores.json (DVC metrics), samples.parquet
(each item's id, prompt hash, answer, score, work, and whether the training mixture overlaps with
it), and speed.json (how long it took, which alone differs from one time to the next).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.files import sha256, write_bytes, write_json
from models import layout
from models.allocation import keep_freed_memory
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.evaluation import suite as suites_of
from models.evaluation.batches import Batch, Response
from models.evaluation.eval_data import EvalData
from models.evaluation.params import EvaluationParams
from models.evaluation.predictor import Seq2SeqPredictor, max_input_of
from models.evaluation.prompts import questions
from models.evaluation.record import suite_record, summary, task_record, warnings
from models.evaluation.responses import ResponseCache
from models.evaluation.samples import PreparedTask, rows
from models.evaluation.suite import Suite
from models.evaluation.tasks import VERSION, run_tasks, task_config
from models.evaluation.workers import PredictorSpec, run_batches

SCHEMA_VERSION = 1


@dataclasses.dataclass
class Clock:
    """Time spent on answering, and how many items it was spent on in this process's life."""

    seconds: float = 0.0
    items: int = 0

    def timed(
        self, done: Iterable[tuple[Batch, list[Response]]]
    ) -> Iterator[tuple[Batch, list[Response]]]:
        begun = time.perf_counter()
        for batch, responses in done:
            self.seconds += time.perf_counter() - begun
            self.items += len(responses)
            yield batch, responses
            begun = time.perf_counter()


def run(name: str, params: EvaluationParams, workspace: Path) -> None:
    """Evaluates run `name`. Raises ModelError for missing weights, an unknown suite or altered
    benchmark files."""
    make_deterministic(params.threads)
    keep_freed_memory()
    folder = workspace / layout.RUNS / name
    suites = [suites_of.load(suite) for suite in params.suites]
    overlap = _read(workspace / layout.CONTAMINATION, "mix")
    source = PredictorSpec(
        weights=folder / "weights",
        tokenizer=workspace / layout.TOKENIZER,
        max_input=params.max_input_tokens or max_input_of(workspace / layout.PACKED / "train"),
        threads=params.threads,
    )
    answerer = Seq2SeqPredictor.load(source.weights, source.tokenizer, source.max_input)
    weights = sha256(source.weights / "model.safetensors")
    benchmarks = EvalData.open(workspace / layout.BENCHMARKS)
    asked, missing = _asked(suites, benchmarks, answerer, params)
    kept = ResponseCache(
        workspace / layout.RESPONSES / name / f"{_key(weights, source, answerer)}.jsonl"
    )
    clock = Clock()
    found = _answered(asked, answerer, kept, source, params, clock, overlap)
    tasks = [task_record(one, samples) for one, samples in zip(asked, found, strict=True)]
    by_suite = [
        suite_record(s, [task for task in tasks if task["suite"] == s.name], missing[s.name])
        for s in suites
    ]
    for line in warnings(tasks):
        print(f"{name}, {line}", file=sys.stderr)
    averages = summary(by_suite, tasks)
    _write_samples(folder / "samples.parquet", [row for samples in found for row in samples])
    scores = {suite["suite"]: round(suite["accuracy"], 4) for suite in by_suite}
    measured = {key: averages[key] for key in ("accuracy", "error", "chance", "normalised")}
    write_json(folder / "scores.json", {**measured, "suites": scores})
    _write_speed(folder / "speed.json", clock, params)
    write_json(
        folder / "evaluation.json",
        {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            **averages,
            "items": sum(task["n"] for task in tasks),
            "contaminated": sum(task["contaminated"] for task in tasks),
            # Of every suite that the training data was checked against, scored here or not.
            "contamination": {
                suite: {"items": found["items"], "contaminated": found["contaminated"]}
                for suite, found in overlap.items()
            },
            "data_warnings": _data_warnings(workspace),
            "suites": by_suite,
            "tasks": tasks,
            "max_input": source.max_input,
            "weights_sha256": weights,
            "samples_sha256": sha256(folder / "samples.parquet"),
            "params": dataclasses.asdict(params),
        },
    )
    shutil.rmtree(kept.path.parent)


def _asked(
    suites: list[Suite], benchmarks: EvalData, answerer: Seq2SeqPredictor, params: EvaluationParams
) -> tuple[list[PreparedTask], dict[str, list[str]]]:
    """Every task with its questions, and what each suite lacks."""
    asked, missing = [], {}
    for suite in suites:
        tasks, missing[suite.name] = benchmarks.tasks(suite, params.limit)
        limit = min(suite.max_new_tokens, params.max_new_tokens or suite.max_new_tokens)
        for task in tasks:
            found = questions(suite, task, answerer.length, answerer.max_input)
            asked.append(PreparedTask(suite=suite, task=task, questions=found, max_new_tokens=limit))
    return asked, missing


def _answered(
    asked: list[PreparedTask],
    answerer: Seq2SeqPredictor,
    kept: ResponseCache,
    source: PredictorSpec,
    params: EvaluationParams,
    clock: Clock,
    overlap: dict[str, Any],
) -> list[list[dict[str, Any]]]:
    """A row for each item of each task."""
    from models.evaluation.adapter import EncoderDecoder

    def work(batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[Response]]]:
        return clock.timed(run_batches(batches, source, answerer, params))

    model = EncoderDecoder(
        answerer, work, kept, items=params.batch_size, tokens=params.max_batch_tokens
    )
    logs = run_tasks(model, [task_config(one) for one in asked])
    found = []
    for one in asked:
        log = logs[one.task.name]
        if [entry["doc"]["id"] for entry in log] != [question.id for question in one.questions]:
            raise DataMismatch(f"{one.task.name}: the harness scored other items than were asked")
        known = overlap.get(one.task.benchmark, {"tasks": {}})["tasks"].get(one.task.file, ())
        found.append(rows(one, log, model.responses, answerer.model.config, set(known)))
    return found


def _key(weights: str, source: PredictorSpec, answerer: Seq2SeqPredictor) -> str:
    """Names everything that a response depends on, besides its batch."""
    tokenizer = answerer.tokens.processor.serialized_model_proto()
    parts = [weights, hashlib.sha256(tokenizer).hexdigest(), source.max_input, source.threads]
    return hashlib.sha256(f"{parts} {VERSION}".encode()).hexdigest()[:16]


def _write_samples(path: Path, rows: list[dict[str, Any]]) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def _write_speed(path: Path, clock: Clock, params: EvaluationParams) -> None:
    """Of the items run_batches in this process: those of a killed one before it are not timed."""
    write_json(
        path,
        {
            "items": clock.items,
            "seconds": round(clock.seconds, 3),
            "seconds_per_item": round(clock.seconds / clock.items, 6) if clock.items else None,
            "workers": params.workers,
            "threads": params.threads,
        },
    )


def _read(path: Path, stage: str) -> Any:
    if not path.is_file():
        raise DataMismatch(f"{path} is missing; run `flanmoe {stage}`")
    return json.loads(path.read_text(encoding="utf-8"))


def _data_warnings(workspace: Path) -> list[str]:
    """Expectations of the data room that do not hold and do not block."""
    return [
        f"{found['suite']}: {found['expectation']} {found['column']} ({found['limits']}), seen "
        f"{found['observed']}"
        for path in layout.FINDINGS
        for found in _read(workspace / path, "validate")
        if not found["success"]
    ]
