"""Stage `pack`: tokenize the mixture and pack it into fixed-length rows.

Writes four corpora to data/packed: `train` and `validation` (instructions; in `train` also a share
of the plain text), `span_corruption` and `prefix_lm` (all of the plain text, by one pre-training
objective each). Each corpus has a manifest,
and one shard per file of the mixture, with the origin of each packed example next to it. The shards
are validated before they replace the shards of an earlier run. Also writes validation.json, the
findings; summary.json, the counts per corpus; report.html, the report on the mixture.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.engine import Engine, open_engine
from data_pipelines.errors import DataError, ExpectationFailed
from data_pipelines.expectations.packed import validate_corpus
from data_pipelines.expectations.runner import Finding, first_failure
from data_pipelines.files import new_folder, write_json
from data_pipelines.licences import restrict_licences
from data_pipelines.packed import manifest_version
from data_pipelines.packing.piece_lengths import describe_sentinel_shortage
from data_pipelines.packing.worker import TEXT_TASK, PackResult, PackTask, pack_shard
from data_pipelines.params import (
    PRETRAINING_OBJECTIVES,
    EngineParams,
    PackParams,
    PretrainingObjective,
)
from data_pipelines.progress import progress_bar
from data_pipelines.report.gather import gather_report
from data_pipelines.report.page import render

logger = logging.getLogger(__name__)
SUMMARY_FIELDS = (
    "rows", "row_lower_bound", "examples", "encoder_tokens", "decoder_tokens", "encoder_fill",
    "decoder_fill", "truncated", "lost_tokens",
)  # fmt: skip


def run(params: PackParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/packed.

    Raises:
        DataError: the train or validation corpus would be empty, or a worker died repeatedly.
        ExpectationFailed: a packed shard is invalid.
    """
    mixture = workspace / layout.MIXTURE
    tokenizer_folder = workspace / layout.TOKENIZER
    tokenizer = json.loads((tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))
    mix_report = json.loads((mixture / "report.json").read_text(encoding="utf-8"))
    task_ids = _assign_task_ids(mix_report)
    text_licences = [{**entry, "tasks": [TEXT_TASK]} for entry in mix_report["text_licences"]]
    shortage = describe_sentinel_shortage(params, tokenizer["num_sentinels"])
    if shortage is not None:
        logger.warning("data_pipelines.tokenizer.%s", shortage)
    texts = sorted((mixture / "text").glob("*.parquet"))
    examples = sorted((mixture / "examples").glob("train-*.parquet"))
    files_by_corpus: dict[str, list[Path]] = {
        "train": examples,
        "validation": sorted((mixture / "examples").glob("validation-*.parquet")),
        **dict.fromkeys(PRETRAINING_OBJECTIVES, texts),
    }
    with new_folder(workspace / layout.PACKED) as out, open_engine(engine) as workers:
        summary: dict[str, Any] = {}
        findings: list[Finding] = []
        for corpus, files in files_by_corpus.items():
            objective = next((name for name in PRETRAINING_OBJECTIVES if name == corpus), None)
            tasks = _make_tasks(files, objective, out / corpus, tokenizer_folder, params, task_ids)
            if corpus == "train":
                tasks += _make_text_tasks(texts, tasks, params)
            results = _pack_corpus(workers, tasks, corpus)
            # A mixture may have no plain text, and a job without training sources no tasks: then
            # only a run that trains on them fails, with its own message.
            if task_ids != {TEXT_TASK: 0} and objective is None:
                _check_not_empty(results, corpus)
            manifest = _make_manifest(corpus, results, tasks, params, tokenizer, list(task_ids))
            manifest["version"] = manifest_version(manifest)
            manifest["licences"] = restrict_licences(
                [*mix_report["licences"], *text_licences], manifest["by_task"]
            )
            write_json(out / corpus / "manifest.json", manifest)
            findings += validate_corpus(out / corpus, manifest)
            summary[corpus] = {field: manifest[field] for field in SUMMARY_FIELDS}
        write_json(out / "validation.json", [asdict(finding) for finding in findings])
        failure = first_failure(findings)
        if failure is not None:
            raise ExpectationFailed(f"packed shards are invalid: {failure.message}")
        write_json(out / "summary.json", summary)
        report = gather_report(workspace, packed=out)
        (out / "report.html").write_text(render(report), encoding="utf-8")


def _assign_task_ids(report: dict[str, Any]) -> dict[str, int]:
    names = {task for mixture in report["mixtures"].values() for task in mixture["tasks"]}
    return {name: number for number, name in enumerate([TEXT_TASK, *sorted(names)])}


def _make_tasks(
    files: list[Path],
    objective: PretrainingObjective | None,
    folder: Path,
    tokenizer: Path,
    params: PackParams,
    task_ids: dict[str, int],
) -> list[PackTask]:
    folder.mkdir()
    tasks, first_index = [], 0
    for number, path in enumerate(files):
        tasks.append(
            PackTask(
                source=path,
                objective=objective,
                first_index=first_index,
                shard=folder / f"{number:05d}.arrow",
                tokenizer=tokenizer,
                params=params,
                task_ids=task_ids,
            )
        )
        first_index += pq.read_metadata(path).num_rows
    return tasks


def _make_text_tasks(
    texts: list[Path], tasks: list[PackTask], params: PackParams
) -> list[PackTask]:
    """Return the tasks that add the share `text_share` of plain text to a corpus of instructions.

    Args:
        texts: files of plain text, whose documents are in random order.
        tasks: the tasks of the instructions.
        params: the share.
    """
    num_examples = sum(pq.read_metadata(task.source).num_rows for task in tasks)
    num_missing = round(num_examples * params.text_share / (1 - params.text_share))
    text_tasks: list[PackTask] = []
    first_index = 0
    for path in texts:
        num_texts = min(num_missing, pq.read_metadata(path).num_rows)
        if not num_texts or not tasks:
            break
        text_tasks.append(
            replace(
                tasks[0],
                source=path,
                objective="prefix_lm",
                first_index=first_index,
                num_rows=num_texts,
                shard=tasks[0].shard.with_name(f"{len(tasks) + len(text_tasks):05d}.arrow"),
            )
        )
        first_index += num_texts
        num_missing -= num_texts
    return text_tasks


def _pack_corpus(workers: Engine, tasks: list[PackTask], corpus: str) -> list[PackResult]:
    packed = workers.map(pack_shard, tasks)
    return list(progress_bar(packed, desc=corpus, total=len(tasks), unit="shard"))


def _check_not_empty(results: list[PackResult], corpus: str) -> None:
    if not any(result.rows for result in results):
        raise DataError(
            f"the {corpus} corpus would be empty; raise data_pipelines.mix.num_examples or "
            "data_pipelines.mix.validation_share"
        )


def _make_manifest(
    corpus: str,
    results: list[PackResult],
    tasks: list[PackTask],
    params: PackParams,
    tokenizer: dict[str, Any],
    task_names: list[str],
) -> dict[str, Any]:
    totals: dict[str, Counter[str]] = {
        name: sum((getattr(result, name) for result in results), Counter())
        for name in ("examples", "encoder_tokens", "decoder_tokens", "truncated", "lost_tokens")
    }
    num_rows = sum(result.rows for result in results)
    encoder_tokens, decoder_tokens = (
        totals[name].total() for name in ("encoder_tokens", "decoder_tokens")
    )
    return {
        "corpus": corpus,
        "rows": num_rows,
        "row_lower_bound": sum(result.row_lower_bound for result in results),
        **{name: counter.total() for name, counter in totals.items()},
        "encoder_fill": round(encoder_tokens / max(1, num_rows * params.encoder_length), 4),
        "decoder_fill": round(decoder_tokens / max(1, num_rows * params.decoder_length), 4),
        "encoder_length": params.encoder_length,
        "decoder_length": params.decoder_length,
        "by_task": {
            name: {key: counter[name] for key, counter in totals.items()}
            for name in sorted(totals["examples"])
        },
        "task_names": task_names,
        "shards": [
            {
                "file": task.shard.name,
                "sha256": result.sha256,
                "origins_sha256": result.origins_sha256,
                "rows": result.rows,
            }
            for task, result in zip(tasks, results, strict=True)
        ],
        "tokenizer_sha256": tokenizer["sha256"],
        "vocab_size": tokenizer["vocab_size"],
    }
