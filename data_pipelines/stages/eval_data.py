"""Stage `eval_data`: convert evaluation files to one format, for scoring and decontamination.

Writes data/eval_data:
- SUITE/TASK.jsonl: the items of a task.
- index.json: for each task its file, checksum, number of items, rejected rows, the source file with
  its split, and the number of items of the published file.
- eval_items.parquet: every item that may be scored, so none of a training split; the stage `clean`
  compares the training data with these.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines import layout, manifest
from data_pipelines.catalog import match_file_name
from data_pipelines.cleaning.item_fields import EVAL_ITEM_SCHEMA
from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.files import new_folder, sha256, write_json
from data_pipelines.progress import progress_bar
from data_pipelines.sources.eval_data.item import TRAINING_SPLIT, EvalItem
from data_pipelines.sources.eval_data.option_texts import option_texts
from data_pipelines.sources.eval_data.table import READERS, SCORED_READERS
from data_pipelines.sources.part import Part


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """One task in data/eval_data/index.json."""

    suite: str
    task: str
    file: str
    """Path of the items, relative to data/eval_data."""
    source_file: str
    """Path of the source file, relative to data/raw."""
    split: str
    """Split of the source file; empty if the catalog does not state it."""
    sha256: str
    num_items: int
    num_published: int | None
    """Number of items of the complete published file; None if the catalog does not state it."""
    truncated: bool
    """Whether the source file is known to hold only a part of the published file."""
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
        scored_items: list[dict[str, Any]] = []
        for name, source in sources.items():
            suite = source["suite"]
            suffix = _common_suffix(source["present_files"])
            for file in progress_bar(source["present_files"], desc=suite, unit="file"):
                part = manifest.make_part(workspace, name, source, file)
                split = match_file_name(file, source["splits"]) or ""
                for task, (items, rejected) in _read_tasks(part, suffix).items():
                    entry = IndexEntry(
                        suite=suite,
                        task=task,
                        file=f"{suite}/{task}.jsonl",
                        source_file=file,
                        split=split,
                        sha256=_write_items(out / suite / f"{task}.jsonl", items, file),
                        num_items=len(items),
                        num_published=match_file_name(file, source["num_items"]),
                        truncated=file in source["truncated_files"],
                        rejected=rejected,
                    )
                    index.append(entry)
                    if part.format in SCORED_READERS and split != TRAINING_SPLIT:
                        scored_items += [_contamination_row(suite, task, item) for item in items]
        write_json(out / "index.json", [asdict(entry) for entry in index])
        table = pa.Table.from_pylist(scored_items, EVAL_ITEM_SCHEMA)
        pq.write_table(table, out / layout.EVAL_ITEMS.name)


def _common_suffix(files: list[str]) -> str:
    """Return `_test` or `_dev` if every file name ends with it: it is no part of the task's name.

    Otherwise it tells the files of several splits apart.
    """
    stems = [Path(file).stem for file in files]
    suffixes = ("_test", "_dev")
    return next((s for s in suffixes if all(stem.endswith(s) for stem in stems)), "")


def _read_tasks(part: Part, suffix: str) -> dict[str, tuple[list[EvalItem], list[RejectedRow]]]:
    """Return the items and rejected rows of each task in a file.

    The rejected rows of a file with several tasks are listed with its first task. A file whose
    rows all belong to splits that the catalog does not select has no task.

    Args:
        part: the file.
        suffix: end of the file name that is no part of the task's name.
    """
    rows = list(READERS[part.format](part))
    if not rows and "splits" in part.options:
        return {}
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    items_by_task: dict[str, list[EvalItem]] = defaultdict(list)
    stem = part.path.stem.removesuffix(suffix)
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


def _contamination_row(suite: str, task: str, item: EvalItem) -> dict[str, Any]:
    """Return the item as a row of EVAL_ITEM_SCHEMA."""
    return {
        "suite": suite,
        "task": task,
        "id": item.id,
        "context": item.context,
        "question": item.question,
        "text": item.text,
        "options": option_texts(item),
    }


def _write_items(target: Path, items: list[EvalItem], source_file: str) -> str:
    """Write the items of a task and return the checksum of its file.

    Raises:
        SourceError: only some of the items have answer options, or another source file has a task
            of this name.
    """
    if len({item.options is None for item in items}) > 1:
        raise SourceError(
            f"{source_file}: some items have answer options and some have none; all items of a "
            "task must agree"
        )
    if target.exists():
        raise SourceError(
            f"{source_file}: task {target.stem!r} of suite {target.parent.name!r} is also in "
            "another file; rename or remove one of the two"
        )
    target.parent.mkdir(exist_ok=True)
    lines = (_to_json(asdict(item)) for item in items)
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return sha256(target)


def _to_json(item: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in item.items() if value}, ensure_ascii=False)
