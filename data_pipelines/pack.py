"""Stage `pack`: tokens into fixed-length rows, three corpora in data/packed.

`pretrain` (plain text), `train` and `validation` (instructions). Each is shards, one for each
window of the mixture, and a manifest. What was packed is validated before it takes its place; its
findings and the page about the whole mixture lie beside.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.engine import Engine, open_engine
from data_pipelines.errors import DataError, ExpectationFailed
from data_pipelines.example import stable_hash
from data_pipelines.expectations.packed import findings_of
from data_pipelines.expectations.runner import Finding, first_failure
from data_pipelines.fetch import sha256
from data_pipelines.output import new_folder, write_json
from data_pipelines.packing.packer import fewest_rows
from data_pipelines.packing.pretraining import pair
from data_pipelines.packing.shard import Labelled, close, write_shard
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import EngineParams, PackParams
from data_pipelines.report.gather import gather
from data_pipelines.report.page import render

TEXT_TASK = "text"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One window of the mixture, and the shard it becomes."""

    window: Path
    first: int
    """Number of the window's first row in its corpus."""
    shard: Path
    tokenizer: Path
    params: PackParams
    tasks: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a shard holds; counts are by task."""

    rows: int
    fewest_rows: int
    sha256: str
    examples: Counter[str] = field(default_factory=Counter)
    encoder_tokens: Counter[str] = field(default_factory=Counter)
    decoder_tokens: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)


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
            findings += findings_of(workers, out / corpus, manifest)
            keys = ("rows", "fewest_rows", "examples", "encoder_tokens", "decoder_tokens",
                    "encoder_fill", "decoder_fill", "truncated")  # fmt: skip
            summary[corpus] = {key: manifest[key] for key in keys}
        write_json(out / "validation.json", [asdict(finding) for finding in findings])
        failed = first_failure(findings)
        if failed is not None:
            raise ExpectationFailed(f"packed shards are wrong: {failed.told}")
        write_json(out / "summary.json", summary)
        report = gather(workspace, packed=out)
        (out / "report.html").write_text(render(report), encoding="utf-8")


def pack_window(job: Job) -> Outcome:
    """Tokenises and packs one window; the same shard whoever calls it."""
    vocabulary = _vocabulary(job.tokenizer)
    params = job.params
    table = pq.read_table(job.window)
    names: list[str]
    if "text" in table.column_names:
        encoded = vocabulary.encode_all(table["text"].to_pylist())
        made = [pair(t, vocabulary, params, job.first + i) for i, t in enumerate(encoded)]
        kept = [(p, len(t)) for p, t in zip(made, encoded, strict=True) if p is not None]
        names = [TEXT_TASK] * len(kept)
        pairs = [p for p, _ in kept]
        cut = [length >= params.encoder_length for _, length in kept]
    else:
        names = table["task"].to_pylist()
        inputs = vocabulary.encode_all(table["inputs"].to_pylist())
        targets = vocabulary.encode_all(table["targets"].to_pylist())
        pairs = list(zip(inputs, targets, strict=True))
        cut = [
            len(i) >= params.encoder_length or len(t) >= params.decoder_length for i, t in pairs
        ]
    examples = [
        Labelled(
            pair=(close(i, params.encoder_length), close(t, params.decoder_length)),
            task=job.tasks[name],
        )
        for (i, t), name in zip(pairs, names, strict=True)
    ]
    order = [stable_hash(params.seed, job.first + i) for i in range(len(examples))]
    lengths = [(len(e.pair[0]), len(e.pair[1])) for e in examples]
    outcome = Outcome(
        rows=write_shard(job.shard, examples, params, order),
        fewest_rows=fewest_rows(lengths, params.encoder_length, params.decoder_length),
        sha256=sha256(job.shard),
    )
    for name, (encoder, decoder), was_cut in zip(names, lengths, cut, strict=True):
        outcome.examples[name] += 1
        outcome.encoder_tokens[name] += encoder
        outcome.decoder_tokens[name] += decoder
        outcome.truncated[name] += was_cut
    return outcome


@lru_cache(maxsize=1)
def _vocabulary(folder: Path) -> Vocabulary:
    description = json.loads((folder / "tokenizer.json").read_text())
    return Vocabulary.load(folder / "spiece.model", description["sentinels"])


def _task_names(report: dict[str, Any]) -> dict[str, int]:
    names = {task for mixture in report["mixtures"].values() for task in mixture["tasks"]}
    return {name: number for number, name in enumerate([TEXT_TASK, *sorted(names)])}


def _jobs(
    files: list[Path], folder: Path, tokenizer: Path, params: PackParams, names: dict[str, int]
) -> list[Job]:
    folder.mkdir()
    jobs, first = [], 0
    for number, path in enumerate(files):
        jobs.append(
            Job(
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


def _packed(workers: Engine, jobs: list[Job], corpus: str) -> list[Outcome]:
    done = workers.map(pack_window, jobs)
    outcomes = list(tqdm(done, desc=corpus, total=len(jobs), unit="shard"))
    if not any(outcome.rows for outcome in outcomes):
        raise DataError(f"the {corpus} corpus would be empty: give the mixture more examples")
    return outcomes


def _manifest(
    corpus: str,
    outcomes: list[Outcome],
    jobs: list[Job],
    params: PackParams,
    tokenizer: dict[str, Any],
    names: list[str],
) -> dict[str, Any]:
    total = {
        name: sum((getattr(o, name) for o in outcomes), Counter())
        for name in ("examples", "encoder_tokens", "decoder_tokens", "truncated")
    }
    rows = sum(outcome.rows for outcome in outcomes)
    encoder, decoder = (total[n].total() for n in ("encoder_tokens", "decoder_tokens"))
    manifest = {
        "corpus": corpus,
        "rows": rows,
        # No packing of the same windows can have fewer: each side alone needs as many.
        "fewest_rows": sum(outcome.fewest_rows for outcome in outcomes),
        **{name: counter.total() for name, counter in total.items()},
        "encoder_fill": round(encoder / (rows * params.encoder_length), 4),
        "decoder_fill": round(decoder / (rows * params.decoder_length), 4),
        "encoder_length": params.encoder_length,
        "decoder_length": params.decoder_length,
        "by_task": {
            name: {key: counter[name] for key, counter in total.items()}
            for name in sorted(total["examples"])
        },
        "tasks": names,
        "shards": [
            {"file": job.shard.name, "sha256": outcome.sha256, "rows": outcome.rows}
            for job, outcome in zip(jobs, outcomes, strict=True)
        ],
        "tokenizer_sha256": tokenizer["sha256"],
        "vocab_size": tokenizer["size"],
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return {**manifest, "version": digest[:16]}
