"""Stage `evaluate`: one run on every benchmark, through lm-evaluation-harness.

Writes into runs/NAME: evaluation.json (the record), scores.json (DVC metrics), samples.parquet
(each item's id, prompt hash, answer, correctness, and whether
the training mixture overlaps with it).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models import layout
from models.allocation import keep_freed_memory
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.evaluation.answering import Answerer, max_input_of
from models.evaluation.params import EvaluationParams
from models.evaluation.statistics import macro, mean_and_error, normalised
from models.evaluation.tasks import VERSION, task_config, task_name
from models.output import sha256, write_bytes, write_json

SCHEMA_VERSION = 1


def run(name: str, params: EvaluationParams, workspace: Path) -> None:
    """Evaluates run `name`. Raises ModelError for missing weights or altered benchmark files."""
    make_deterministic(params.threads)
    keep_freed_memory()
    folder = workspace / layout.RUNS / name
    answerer = Answerer.load(
        folder / "weights",
        workspace / layout.TOKENIZER,
        max_input_of(workspace / layout.PACKED / "train"),
    )
    index = _index(workspace / layout.BENCHMARKS)
    samples = _samples(answerer, index, workspace / layout.BENCHMARKS, params)
    overlap = _read(workspace / layout.CONTAMINATION, "mix")
    _mark_contaminated(samples, index, overlap)
    tasks = [_task_record(entry, samples[task_name(entry)]) for entry in index]
    suites = _suites(tasks)
    accuracy, error = macro(
        [suite["accuracy"] for suite in suites], [suite["error"] for suite in suites]
    )
    chance = sum(suite["random_score"] for suite in suites) / len(suites)
    summary = {
        "accuracy": round(accuracy, 6),
        "error": round(error, 6),
        "chance": round(chance, 6),
        "normalised": round(sum(s["normalised"] for s in suites) / len(suites), 3),
    }
    rows = [row for entry in index for row in samples[task_name(entry)]]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    write_bytes(folder / "samples.parquet", sink.getvalue().to_pybytes())
    scores = {suite["suite"]: round(suite["accuracy"], 4) for suite in suites}
    write_json(folder / "scores.json", {**summary, "suites": scores})
    write_json(
        folder / "evaluation.json",
        {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            **summary,
            "partial": any(task["partial"] for task in tasks),
            "items": sum(task["n"] for task in tasks),
            "contaminated": sum(task["contaminated"] for task in tasks),
            # Of every suite that the training data was checked against, scored here or not.
            "contamination": {
                suite: {"items": found["items"], "contaminated": found["contaminated"]}
                for suite, found in overlap.items()
            },
            "data_warnings": _data_warnings(workspace),
            "suites": suites,
            "tasks": tasks,
            "weights_sha256": sha256(folder / "weights" / "model.safetensors"),
            "samples_sha256": sha256(folder / "samples.parquet"),
            "params": dataclasses.asdict(params),
        },
    )


def _read(path: Path, stage: str) -> Any:
    if not path.is_file():
        raise DataMismatch(f"{path} is missing; run `flanmoe {stage}`")
    return json.loads(path.read_text(encoding="utf-8"))


def _mark_contaminated(
    samples: dict[str, list[dict[str, Any]]], index: list[dict[str, Any]], overlap: dict[str, Any]
) -> None:
    """Tells of each sample whether the training mixture overlaps with its item."""
    for entry in index:
        known = overlap.get(entry["suite"], {"tasks": {}})["tasks"].get(entry["task"], ())
        seen = set(known)
        for row in samples[task_name(entry)]:
            row["contaminated"] = row["id"] in seen


def _data_warnings(workspace: Path) -> list[str]:
    """Expectations of the data room that do not hold and do not block."""
    return [
        f"{found['suite']}: {found['expectation']} {found['column']} ({found['limits']}), seen "
        f"{found['observed']}"
        for path in layout.FINDINGS
        for found in _read(workspace / path, "validate")
        if not found["success"]
    ]


def _index(folder: Path) -> list[dict[str, Any]]:
    index: list[dict[str, Any]] = _read(folder / "index.json", "benchmarks")
    for entry in index:
        file = folder / entry["file"]
        if not file.is_file() or sha256(file) != entry["sha256"]:
            raise DataMismatch(f"{file} is missing or changed; run `flanmoe benchmarks`")
    return index


def _samples(
    answerer: Answerer, index: list[dict[str, Any]], folder: Path, params: EvaluationParams
) -> dict[str, list[dict[str, Any]]]:
    """Task -> one row an item, in the file's order."""
    # Local files only; the harness's copies of them go where they are thrown away.
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": cache}
        import datasets
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.tasks import TaskManager

        from models.evaluation.adapter import EncoderDecoder

        datasets.disable_progress_bars()
        outcome = simple_evaluate(
            model=EncoderDecoder(answerer, params.batch_items, params.max_new_tokens),
            tasks=[task_config(entry, folder.resolve(), params.max_new_tokens) for entry in index],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
            log_samples=True,
            random_seed=0,
            numpy_random_seed=0,
            torch_random_seed=0,
        )
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in index:
        task = task_name(entry)
        logged = sorted(outcome["samples"][task], key=lambda sample: sample["doc_id"])
        rows[task] = [_row(entry, sample) for sample in logged]
        if len(rows[task]) != entry["items"]:
            raise DataMismatch(
                f"{task}: {len(rows[task])} of {entry['items']} items were scored; "
                "run `flanmoe benchmarks` again"
            )
    return rows


def _row(entry: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    doc = sample["doc"]
    if entry["kind"] == "multiple_choice":
        scores = [float(response[0]) for response in sample["filtered_resps"]]
        answer = doc["options"][scores.index(max(scores))]
        correct = bool(sample["acc"])
    else:
        answer = str(sample["filtered_resps"][0])
        correct = bool(sample["exact_match"])
    return {
        "suite": entry["suite"],
        "task": task_name(entry),
        "id": doc["id"],
        "prompt_sha256": hashlib.sha256(doc["prompt"].encode()).hexdigest(),
        "expected": doc["answer"],
        "answer": answer,
        "correct": correct,
    }


def _task_record(entry: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    accuracy, error = mean_and_error([row["correct"] for row in rows])
    return {
        "task": task_name(entry),
        "suite": entry["suite"],
        "version": VERSION,
        "kind": entry["kind"],
        "metric": "acc" if entry["kind"] == "multiple_choice" else "exact_match",
        "shots": 0,
        "n": len(rows),
        "contaminated": sum(row["contaminated"] for row in rows),
        "partial": entry["partial"],
        "accuracy": round(accuracy, 6),
        "error": round(error, 6),
        "random_score": round(entry["random_score"], 6),
        "normalised": round(normalised(accuracy, entry["random_score"]), 3),
        "file_sha256": entry["sha256"],
    }


def _suites(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each suite: the mean over its tasks, every task counting the same."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task in tasks:
        groups[task["suite"]].append(task)
    result = []
    for suite, members in sorted(groups.items()):
        accuracy, error = macro([t["accuracy"] for t in members], [t["error"] for t in members])
        chance = sum(t["random_score"] for t in members) / len(members)
        result.append(
            {
                "suite": suite,
                "tasks": len(members),
                "n": sum(t["n"] for t in members),
                "contaminated": sum(t["contaminated"] for t in members),
                "partial": any(t["partial"] for t in members),
                "accuracy": round(accuracy, 6),
                "error": round(error, 6),
                "random_score": round(chance, 6),
                "normalised": round(sum(t["normalised"] for t in members) / len(members), 3),
            }
        )
    return result
