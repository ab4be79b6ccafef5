"""Stage `benchmarks`: evaluation files -> one JSON-lines file a task, and an index of them.

`data/benchmarks/index.json` is what evaluation reads: for each task its suite, kind, number of
items, random score, hash, and whether a limit made it partial.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.errors import SourceError
from data_pipelines.example import Refused, stable_hash
from data_pipelines.fetch import sha256
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import BenchmarksParams
from data_pipelines.sources.benchmarks import READERS, Item


def run(params: BenchmarksParams, workspace: Path) -> None:
    """Raises SourceError for an unknown suite, or a task none of whose rows can be read."""
    source = workspace / layout.RAW / "benchmarks"
    folders = sorted(path for path in source.glob("*") if path.is_dir())
    if not folders:
        raise SourceError(f"{source} holds no suite; name one in data_pipelines.fetch")
    with new_folder(workspace / layout.BENCHMARKS) as out:
        index = []
        for folder in folders:
            if folder.name not in READERS:
                raise SourceError(
                    f"benchmarks/{folder.name}: no such suite; known: {', '.join(READERS)}"
                )
            files = sorted(folder.glob(READERS[folder.name][0]))
            for path in tqdm(files, desc=folder.name, unit="task"):
                index.append(_task(folder.name, path, out, params))
        write_json(out / "index.json", index)


def _task(suite: str, path: Path, out: Path, params: BenchmarksParams) -> dict[str, Any]:
    rows = list(READERS[suite][1](path))
    items = [row for row in rows if isinstance(row, Item)]
    refused = [row for row in rows if isinstance(row, Refused)]
    if not items:
        raise SourceError(f"{path}: no row can be scored ({len(refused)} refused)")
    kinds = {item.options is None for item in items}
    if len(kinds) > 1:
        raise SourceError(f"{path}: some rows have options and some have none")
    kept = items
    if params.limit is not None and len(items) > params.limit:
        chosen = sorted(items, key=lambda item: stable_hash(params.seed, item.id))[: params.limit]
        names = {item.id for item in chosen}
        kept = [item for item in items if item.id in names]
    name = path.stem.removesuffix("_test")
    target = out / suite / f"{name}.jsonl"
    target.parent.mkdir(exist_ok=True)
    lines = (json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in kept)
    target.write_text("".join(lines), encoding="utf-8")
    chances = [1 / len(item.options) if item.options else 0.0 for item in kept]
    return {
        "suite": suite,
        "task": name,
        "file": target.relative_to(out).as_posix(),
        "sha256": sha256(target),
        "kind": "generate" if kept[0].options is None else "multiple_choice",
        "items": len(kept),
        "partial": len(kept) < len(items),
        "random_score": sum(chances) / len(chances),
        "refused": [asdict(row) for row in refused],
    }
