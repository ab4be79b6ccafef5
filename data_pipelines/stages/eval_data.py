"""Stage `benchmarks`: evaluation files into one form, for evaluation and for the guard.

`data/eval_data/index.json` is what evaluation reads: for each task its file of items, their hash,
the rows that were refused, and whether the source file is known to be a part of what is published.
`eval_items.parquet` holds every item that can be scored: what training data is checked against.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout, manifest
from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.files import new_folder, sha256, write_json
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.eval_data.table import QUESTIONS, READERS
from data_pipelines.sources.part import Part

GUARD_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("suite", "task", "id", "question", "text")]
)


def run(workspace: Path) -> None:
    """Raises SourceError if there is no suite to score, or for a file with no item."""
    suites = {n: s for n, s in manifest.sources(workspace).items() if s["suite"]}
    if not any(source["format"] in QUESTIONS for source in suites.values()):
        raise SourceError(
            "there is no evaluation suite: name one in data_pipelines.fetch.sources, or let the "
            "sample be generated"
        )
    with new_folder(workspace / layout.EVAL_DATA) as out:
        index: list[dict[str, Any]] = []
        guarded: list[dict[str, str]] = []
        for name, source in suites.items():
            for file in tqdm(source["found"], desc=source["suite"], unit="file"):
                part = manifest.part(workspace, name, source, file)
                cut = file in source["cut"]
                for task, (items, refused) in _tasks(part).items():
                    index.append(_written(source["suite"], task, items, refused, cut, out))
                    if part.format in QUESTIONS:
                        guarded += [_guarded(source["suite"], task, item) for item in items]
        write_json(out / "index.json", index)
        pq.write_table(pa.Table.from_pylist(guarded, GUARD_SCHEMA), out / layout.EVAL_ITEMS.name)


def _tasks(part: Part) -> dict[str, tuple[list[EvalItem], list[RejectedRow]]]:
    """Task -> its items and refused rows; nothing for a file that holds none by its split.

    RejectedRow rows of a file with several tasks are told with the first.
    """
    rows = list(READERS[part.format](part))
    if not rows and "splits" in part.options:
        return {}
    refused = [row for row in rows if isinstance(row, RejectedRow)]
    tasks: dict[str, list[EvalItem]] = defaultdict(list)
    stem = part.path.stem.removesuffix("_test").removesuffix("_dev")
    for row in rows:
        if isinstance(row, EvalItem):
            tasks[row.task or stem].append(row)
    if not tasks:
        raise SourceError(f"{part.path}: no row can be scored ({len(refused)} refused)")
    first = next(iter(tasks))
    return {
        task: (_told_apart(items), refused if task == first else [])
        for task, items in tasks.items()
    }


def _told_apart(items: list[EvalItem]) -> list[EvalItem]:
    """Published ids are not always unique: the second of a name gets a number."""
    seen: Counter[str] = Counter()
    result = []
    for item in items:
        seen[item.id] += 1
        number = seen[item.id]
        result.append(item if number == 1 else replace(item, id=f"{item.id}#{number}"))
    return result


def _guarded(suite: str, task: str, item: EvalItem) -> dict[str, str]:
    text = f"{item.context}\n{item.question}"
    return {"suite": suite, "task": task, "id": item.id, "question": item.question, "text": text}


def _written(
    suite: str,
    task: str,
    items: list[EvalItem],
    rejected: list[RejectedRow],
    truncated: bool,
    out: Path,
) -> dict[str, Any]:
    """Writes the task's items and returns its entry in the index."""
    if len({item.options is None for item in items}) > 1:
        raise SourceError(f"{suite}/{task}: some rows have options and some have none")
    target = out / suite / f"{task}.jsonl"
    target.parent.mkdir(exist_ok=True)
    lines = (
        json.dumps({k: v for k, v in asdict(item).items() if v}, ensure_ascii=False)
        for item in items
    )
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return {
        "suite": suite,
        "task": task,
        "file": target.relative_to(out).as_posix(),
        "sha256": sha256(target),
        "num_items": len(items),
        "truncated": truncated,
        "rejected": [asdict(row) for row in rejected],
    }
