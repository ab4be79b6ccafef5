"""Stage `mix`: normalise every source into the Example contract and mix by published rates.

Writes data/mixture: examples.parquet, text.parquet (pre-training), quarantine.parquet,
report.json (every task), metrics.json (the shares, for DVC). Which rows are taken depends on
the seed and each row's uid alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.errors import SourceError
from data_pipelines.example import (
    EXAMPLE_SCHEMA,
    QUARANTINE_SCHEMA,
    Example,
    Refused,
    stable_fraction,
    stable_hash,
)
from data_pipelines.mixing.rates import quotas, target_shares
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import MixParams
from data_pipelines.sources.table import LOADERS
from data_pipelines.sources.text_files import read_lines


def run(params: MixParams, workspace: Path) -> None:
    """Raises SourceError for a broken source, or one that loses too many rows."""
    raw = workspace / layout.RAW
    examples, refused = _load(raw, params)
    if not examples:
        raise SourceError(f"{raw} holds no training file; run `flanmoe fetch`")
    by_task: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        by_task[example.mixture][example.task].append(example)
    counts = {m: {t: len(rows) for t, rows in tasks.items()} for m, tasks in by_task.items()}
    quota = quotas(counts, params.shares, params.caps, params.examples)
    mixed = [
        example
        for mixture, tasks in by_task.items()
        for task, rows in tasks.items()
        for example in _choose(rows, quota[mixture][task], params)
    ]
    mixed.sort(key=lambda example: example.uid)
    with new_folder(workspace / layout.MIXTURE) as out:
        rows = [example.to_row() for example in mixed]
        pq.write_table(pa.Table.from_pylist(rows, EXAMPLE_SCHEMA), out / "examples.parquet")
        dropped = pa.Table.from_pylist([asdict(row) for row in refused], QUARANTINE_SCHEMA)
        pq.write_table(dropped, out / "quarantine.parquet")
        texts = _texts(raw, params, mixed)
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), out / "text.parquet")
        report = _report(counts, mixed, refused, len(texts), params)
        write_json(out / "report.json", report)
        shares = {name: entry["share"] for name, entry in report["mixtures"].items()}
        counted = {key: value for key, value in report.items() if key != "mixtures"}
        write_json(out / "metrics.json", {**counted, "shares": shares})


def _load(raw: Path, params: MixParams) -> tuple[list[Example], list[Refused]]:
    files = [
        (loader, path)
        for mixture, loader in LOADERS.items()
        for path in sorted((raw / mixture).glob(loader.PATTERN))
    ]
    examples: list[Example] = []
    refused: list[Refused] = []
    for loader, path in tqdm(files, desc="read", unit="file"):
        rows = list(loader.load(path, path.relative_to(raw).as_posix(), params))
        bad = [row for row in rows if isinstance(row, Refused)]
        if len(bad) > params.max_quarantine_share * len(rows):
            raise SourceError(
                f"{path}: {len(bad)} of {len(rows)} rows cannot be read, first row "
                f"{bad[0].source_row}: {bad[0].reason} (limit: max_quarantine_share "
                f"{params.max_quarantine_share})"
            )
        refused += bad
        examples += [row for row in rows if isinstance(row, Example)]
    return examples, refused


def _choose(rows: list[Example], count: int, params: MixParams) -> list[Example]:
    ranked = sorted(rows, key=lambda example: stable_hash(params.seed, "mix", example.uid))
    return [replace(example, split=_split(example, params)) for example in ranked[:count]]


def _split(example: Example, params: MixParams) -> str:
    # By what is asked, not by row: the same question never lies on both sides.
    fraction = stable_fraction(params.seed, "split", example.inputs)
    return "validation" if fraction < params.validation_share else "train"


def _texts(raw: Path, params: MixParams, mixed: list[Example]) -> list[str]:
    if params.text == "examples":
        return [f"{e.inputs} {e.targets}" for e in mixed if e.split == "train"]
    files = sorted((raw / "text").glob("*.txt"))
    return [line for path in files for line in read_lines(path) if line.strip()]


def _report(
    counts: dict[str, dict[str, int]],
    mixed: list[Example],
    refused: list[Refused],
    texts: int,
    params: MixParams,
) -> dict[str, Any]:
    per_mixture = Counter(example.mixture for example in mixed)
    per_task = Counter((example.mixture, example.task) for example in mixed)
    targets = target_shares(sorted(counts), params.shares)
    return {
        "examples": len(mixed),
        "validation": sum(example.split == "validation" for example in mixed),
        "texts": texts,
        "quarantined": len(refused),
        "mixtures": {
            mixture: {
                "examples": per_mixture[mixture],
                "available": sum(tasks.values()),
                "share": round(per_mixture[mixture] / len(mixed), 4),
                "target_share": round(targets[mixture], 4),
                "tasks": {task: per_task[mixture, task] for task in sorted(tasks)},
            }
            for mixture, tasks in sorted(counts.items())
        },
    }
