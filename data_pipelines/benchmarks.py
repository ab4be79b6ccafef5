"""Stage `benchmarks`: evaluation files into one form, for evaluation and for the guard.

`data/benchmarks/index.json` is what evaluation reads: for each task its suite, kind, number of
items, random score, hash, and whether a limit made it partial. `guard.parquet` holds every item of
every suite, limited or not: what training data is checked against.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout, manifest
from data_pipelines.errors import SourceError
from data_pipelines.example import Refused, stable_hash
from data_pipelines.fetch import sha256
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import BenchmarksParams
from data_pipelines.sources.benchmarks.item import Item
from data_pipelines.sources.benchmarks.table import READERS
from data_pipelines.sources.part import Part

GUARD_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("suite", "task", "id", "question", "text")]
)


def run(params: BenchmarksParams, workspace: Path) -> None:
    """Raises SourceError if there is no suite to score, or for a file with no item."""
    suites = {n: s for n, s in manifest.sources(workspace).items() if s["suite"]}
    if not any(s["suite"] not in params.guard_only for s in suites.values()):
        raise SourceError(
            "no evaluation suite would be scored: name one in data_pipelines.fetch.sources that "
            "data_pipelines.benchmarks.guard_only does not"
        )
    with new_folder(workspace / layout.BENCHMARKS) as out:
        index: list[dict[str, Any]] = []
        guarded: list[dict[str, str]] = []
        for name, source in suites.items():
            for file in tqdm(source["found"], desc=source["suite"], unit="task"):
                part = manifest.part(workspace, name, source, file)
                items, refused = _read(part)
                task = part.path.stem.removesuffix("_test")
                guarded += [_guarded(source["suite"], task, item) for item in items]
                if source["suite"] not in params.guard_only:
                    index.append(_scored(source["suite"], task, items, refused, out, params))
        write_json(out / "index.json", index)
        pq.write_table(pa.Table.from_pylist(guarded, GUARD_SCHEMA), out / layout.GUARD.name)


def _read(part: Part) -> tuple[list[Item], list[Refused]]:
    rows = list(READERS[part.format](part))
    items = [row for row in rows if isinstance(row, Item)]
    refused = [row for row in rows if isinstance(row, Refused)]
    if not items:
        raise SourceError(f"{part.path}: no row can be scored ({len(refused)} refused)")
    return items, refused


def _guarded(suite: str, task: str, item: Item) -> dict[str, str]:
    text = f"{item.context}\n{item.question}"
    return {"suite": suite, "task": task, "id": item.id, "question": item.question, "text": text}


def _scored(
    suite: str,
    task: str,
    items: list[Item],
    refused: list[Refused],
    out: Path,
    params: BenchmarksParams,
) -> dict[str, Any]:
    """Writes the task's items and returns its entry in the index."""
    kinds = {item.options is None for item in items}
    if len(kinds) > 1:
        raise SourceError(f"{suite}/{task}: some rows have options and some have none")
    kept = items
    if params.limit is not None and len(items) > params.limit:
        chosen = sorted(items, key=lambda item: stable_hash(params.seed, item.id))[: params.limit]
        names = {item.id for item in chosen}
        kept = [item for item in items if item.id in names]
    target = out / suite / f"{task}.jsonl"
    target.parent.mkdir(exist_ok=True)
    lines = (
        json.dumps({k: v for k, v in asdict(item).items() if k in EVALUATED}, ensure_ascii=False)
        for item in kept
    )
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    chances = [1 / len(item.options) if item.options else 0.0 for item in kept]
    return {
        "suite": suite,
        "task": task,
        "file": target.relative_to(out).as_posix(),
        "sha256": sha256(target),
        "kind": "generate" if kept[0].options is None else "multiple_choice",
        "items": len(kept),
        "partial": len(kept) < len(items),
        "random_score": sum(chances) / len(chances),
        "refused": [asdict(row) for row in refused],
    }


EVALUATED = ("id", "prompt", "answer", "options")
"""What of an item evaluation sees."""
