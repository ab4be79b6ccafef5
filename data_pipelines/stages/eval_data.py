"""Stage `eval_data`: convert evaluation files to one format, for scoring and decontamination.

Writes data/eval_data:
- SUITE/TASK.jsonl: the items of a task.
- index.json: for each task its file, checksum, number of items, rejected rows, and whether the
  source file is known to be truncated.
- eval_items.parquet: every scored item; the stage `clean` compares the training data with these.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
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
from data_pipelines.sources.eval_data.table import READERS, SCORED_READERS
from data_pipelines.sources.part import Part

EVAL_ITEM_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("suite", "task", "id", "question", "text")]
)


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """One task in data/eval_data/index.json."""

    suite: str
    task: str
    file: str
    """Path of the items, relative to data/eval_data."""
    sha256: str
    num_items: int
    truncated: bool
    """Whether the source file holds only a part of the published file."""
    rejected: list[RejectedRow]


def run(workspace: Path) -> None:
    """Write data/eval_data.

    Raises:
        SourceError: no fetched source has scored items, a file has no valid item, or only some
            items of a task have answer options.
    """
    sources = {n: s for n, s in manifest.read_sources(workspace).items() if s["suite"]}
    if not any(source["format"] in SCORED_READERS for source in sources.values()):
        raise SourceError(
            "data_pipelines.fetch: no evaluation suite is among the sources; add one to "
            "data_pipelines.fetch.sources, or generate the sample"
        )
    with new_folder(workspace / layout.EVAL_DATA) as out:
        index: list[IndexEntry] = []
        scored_items: list[dict[str, str]] = []
        for name, source in sources.items():
            suite = source["suite"]
            for file in tqdm(source["present_files"], desc=suite, unit="file"):
                part = manifest.make_part(workspace, name, source, file)
                truncated = file in source["truncated_files"]
                for task, (items, rejected) in _read_tasks(part).items():
                    index.append(_write_task(out, suite, task, items, rejected, truncated))
                    if part.format in SCORED_READERS:
                        scored_items += [_contamination_row(suite, task, item) for item in items]
        write_json(out / "index.json", [asdict(entry) for entry in index])
        table = pa.Table.from_pylist(scored_items, EVAL_ITEM_SCHEMA)
        pq.write_table(table, out / layout.EVAL_ITEMS.name)


def _read_tasks(part: Part) -> dict[str, tuple[list[EvalItem], list[RejectedRow]]]:
    """Return the items and rejected rows of each task in a file.

    The rejected rows of a file with several tasks are listed with its first task. A file whose
    rows all belong to splits that the catalog does not select has no task.
    """
    rows = list(READERS[part.format](part))
    if not rows and "splits" in part.options:
        return {}
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    items_by_task: dict[str, list[EvalItem]] = defaultdict(list)
    stem = part.path.stem.removesuffix("_test").removesuffix("_dev")
    for row in rows:
        if isinstance(row, EvalItem):
            items_by_task[row.task or stem].append(row)
    if not items_by_task:
        raise SourceError(
            f"{part.path}: no row is a valid item ({len(rejected)} rejected); fetch the file again"
        )
    first = next(iter(items_by_task))
    return {
        task: (_with_unique_ids(items), rejected if task == first else [])
        for task, items in items_by_task.items()
    }


def _with_unique_ids(items: list[EvalItem]) -> list[EvalItem]:
    """Append a number to repeated ids: published ids are not always unique."""
    seen: Counter[str] = Counter()
    result = []
    for item in items:
        seen[item.id] += 1
        number = seen[item.id]
        result.append(item if number == 1 else replace(item, id=f"{item.id}#{number}"))
    return result


def _contamination_row(suite: str, task: str, item: EvalItem) -> dict[str, str]:
    """Return the item as a row of EVAL_ITEM_SCHEMA."""
    text = f"{item.context}\n{item.question}"
    return {"suite": suite, "task": task, "id": item.id, "question": item.question, "text": text}


def _write_task(
    out: Path,
    suite: str,
    task: str,
    items: list[EvalItem],
    rejected: list[RejectedRow],
    truncated: bool,
) -> IndexEntry:
    """Write the items of a task and return its index entry.

    Raises:
        SourceError: only some of the items have answer options.
    """
    if len({item.options is None for item in items}) > 1:
        raise SourceError(
            f"{suite}/{task}: some items have answer options and some have none; all items of a "
            "task must agree"
        )
    target = out / suite / f"{task}.jsonl"
    target.parent.mkdir(exist_ok=True)
    lines = (_to_json(asdict(item)) for item in items)
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return IndexEntry(
        suite=suite,
        task=task,
        file=target.relative_to(out).as_posix(),
        sha256=sha256(target),
        num_items=len(items),
        truncated=truncated,
        rejected=rejected,
    )


def _to_json(item: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in item.items() if value}, ensure_ascii=False)
