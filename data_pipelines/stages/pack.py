"""Stage `pack`: tokens into fixed-length rows, three corpora in data/packed.

`pretrain` (plain text), `train` and `validation` (instructions). Each is shards, one for each
window of the mixture, and a manifest. What was packed is validated before it takes its place; its
findings and the page about the whole mixture lie beside.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.engine import Engine, open_engine
from data_pipelines.errors import DataError, ExpectationFailed
from data_pipelines.expectations.packed import findings_of
from data_pipelines.expectations.runner import Finding, first_failure
from data_pipelines.files import new_folder, write_json
from data_pipelines.packing.window import TEXT_TASK, PackTask, PackResult, pack_window
from data_pipelines.params import EngineParams, PackParams
from data_pipelines.report.gather import gather
from data_pipelines.report.page import render


def run(params: PackParams, engine: EngineParams, workspace: Path) -> None:
    """Raises DataError if a corpus would be empty, ExpectationFailed for shards that are wrong."""
    mixture = workspace / layout.MIXTURE
    description = json.loads((workspace / layout.TOKENIZER / "tokenizer.json").read_text())
    names = _task_names(json.loads((mixture / "report.json").read_text()))
    windows = {
        "train": sorted((mixture / "examples").glob("train-*.parquet")),
        "validation": sorted((mixture / "examples").glob("validation-*.parquet")),
        "pretrain": sorted((mixture / "text").glob("*.parquet")),
    }
    with new_folder(workspace / layout.PACKED) as out, open_engine(engine) as workers:
        summary: dict[str, Any] = {}
        findings: list[Finding] = []
        for corpus, files in windows.items():
            jobs = _jobs(files, out / corpus, workspace / layout.TOKENIZER, params, names)
            outcomes = _packed(workers, jobs, corpus)
            manifest = _manifest(corpus, outcomes, jobs, params, description, list(names))
            write_json(out / corpus / "manifest.json", manifest)
            findings += findings_of(out / corpus, manifest)
            keys = ("rows", "row_lower_bound", "examples", "encoder_tokens", "decoder_tokens",
                    "encoder_fill", "decoder_fill", "truncated")  # fmt: skip
            summary[corpus] = {key: manifest[key] for key in keys}
        write_json(out / "validation.json", [asdict(finding) for finding in findings])
        failed = first_failure(findings)
        if failed is not None:
            raise ExpectationFailed(f"packed shards are wrong: {failed.message}")
        write_json(out / "summary.json", summary)
        report = gather(workspace, packed=out)
        (out / "report.html").write_text(render(report), encoding="utf-8")


def _task_names(report: dict[str, Any]) -> dict[str, int]:
    names = {task for mixture in report["mixtures"].values() for task in mixture["tasks"]}
    return {name: number for number, name in enumerate([TEXT_TASK, *sorted(names)])}


def _jobs(
    files: list[Path], folder: Path, tokenizer: Path, params: PackParams, names: dict[str, int]
) -> list[PackTask]:
    folder.mkdir()
    jobs, first = [], 0
    for number, path in enumerate(files):
        jobs.append(
            PackTask(
                window=path,
                first=first,
                shard=folder / f"{number:05d}.arrow",
                tokenizer=tokenizer,
                params=params,
                tasks=names,
            )
        )
        first += pq.read_metadata(path).num_rows
    return jobs


def _packed(workers: Engine, jobs: list[PackTask], corpus: str) -> list[PackResult]:
    done = workers.map(pack_window, jobs)
    outcomes = list(tqdm(done, desc=corpus, total=len(jobs), unit="shard"))
    # A mixture without plain text has nothing to pre-train on: a run that wants to is told so.
    if corpus != "pretrain" and not any(outcome.rows for outcome in outcomes):
        raise DataError(f"the {corpus} corpus would be empty: give the mixture more examples")
    return outcomes


def _manifest(
    corpus: str,
    outcomes: list[PackResult],
    jobs: list[PackTask],
    params: PackParams,
    tokenizer: dict[str, Any],
    names: list[str],
) -> dict[str, Any]:
    total: dict[str, Counter[str]] = {
        name: sum((getattr(o, name) for o in outcomes), Counter())
        for name in ("examples", "encoder_tokens", "decoder_tokens", "truncated")
    }
    rows = sum(outcome.rows for outcome in outcomes)
    encoder, decoder = (total[n].total() for n in ("encoder_tokens", "decoder_tokens"))
    manifest = {
        "corpus": corpus,
        "rows": rows,
        # No packing of the same windows can have fewer: each side alone needs as many.
        "row_lower_bound": sum(outcome.row_lower_bound for outcome in outcomes),
        **{name: counter.total() for name, counter in total.items()},
        "encoder_fill": round(encoder / max(1, rows * params.encoder_length), 4),
        "decoder_fill": round(decoder / max(1, rows * params.decoder_length), 4),
        "encoder_length": params.encoder_length,
        "decoder_length": params.decoder_length,
        "by_task": {
            name: {key: counter[name] for key, counter in total.items()}
            for name in sorted(total["examples"])
        },
        "task_names": names,
        "shards": [
            {"file": job.shard.name, "sha256": outcome.sha256, "rows": outcome.rows}
            for job, outcome in zip(jobs, outcomes, strict=True)
        ],
        "tokenizer_sha256": tokenizer["sha256"],
        "vocab_size": tokenizer["size"],
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return {**manifest, "version": digest[:16]}
