"""Stage `read`: convert every source to Examples, each row rendered by one template.

Writes data/records: examples/*.parquet, one file per part of a source; quarantine.parquet, the
rejected rows; report.json, the number of examples per source and task, and each task's licence.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data_pipelines import layout, manifest
from data_pipelines.engine import open_engine
from data_pipelines.errors import SourceError
from data_pipelines.example import (
    QUARANTINE_SCHEMA,
    RECORD_SCHEMA,
    TEXT,
    Example,
    RejectedRow,
)
from data_pipelines.files import new_folder, write_json
from data_pipelines.params import EngineParams, ReadParams
from data_pipelines.progress import progress_bar
from data_pipelines.sources import niv2
from data_pipelines.sources.omissions import describe_omissions
from data_pipelines.sources.part import Part
from data_pipelines.sources.table import LOADERS
from data_pipelines.tables import concatenate, open_row_writer

logger = logging.getLogger(__name__)

SCAN_BYTES = 1 << 22
TaskCounts = Counter[tuple[str, str, str]]
"""(mixture, task, split) -> number of examples."""


@dataclass(frozen=True, kw_only=True)
class ReadTask:
    """One part of a source, and the files to which its rows are written."""

    part: Part
    params: ReadParams
    examples: Path
    quarantine: Path


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """Counts of one part."""

    source: str
    counts: TaskCounts
    num_rejected: int
    first_rejected: RejectedRow | None
    licence: tuple[str, str] | None
    """Licence and terms that the file itself states; None: those of the source."""


def run(params: ReadParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/records; without training sources, a table without rows.

    Raises:
        SourceError: a source is malformed or has too many rejected
            rows, two sources contain the same task, or two NIV2 files have the same name.
        DataError: a worker died repeatedly.
    """
    raw_manifest = manifest.read_manifest(workspace)
    for line in describe_omissions(raw_manifest):
        logger.warning("%s", line)
    parts = [
        part
        for name, source in raw_manifest["sources"].items()
        if source["mixture"]
        for file in source["present_files"]
        for part in split_part(
            manifest.make_part(workspace, name, source, file), params.part_mb << 20
        )
    ]
    _check_niv2_tasks_are_unique(parts)
    with new_folder(workspace / layout.RECORDS) as out:
        (out / "examples").mkdir()
        (out / "rejected").mkdir()
        tasks = [
            ReadTask(
                part=part,
                params=params,
                examples=out / "examples" / f"{number:05d}.parquet",
                quarantine=out / "rejected" / f"{number:05d}.parquet",
            )
            for number, part in enumerate(parts)
        ]
        with open_engine(engine) as workers:
            results = list(
                progress_bar(
                    workers.map(read_part, tasks), desc="read", total=len(tasks), unit="part"
                )
            )
        report = _make_report(results, params, raw_manifest["sources"])
        quarantines = (task.quarantine for task in tasks)
        concatenate(quarantines, out / "quarantine.parquet", QUARANTINE_SCHEMA)
        if not tasks:
            # The next stages read the folder as one table.
            concatenate((), out / "examples" / "00000.parquet", RECORD_SCHEMA)
        for task in tasks:
            task.quarantine.unlink()
        (out / "rejected").rmdir()
        write_json(out / "report.json", report)


def read_part(task: ReadTask) -> ReadResult:
    """Write the examples and rejected rows of one part, and return their counts.

    The output is deterministic, so the task can be retried.
    """
    counts: TaskCounts = Counter()
    first_rejected = None
    with (
        open_row_writer(task.examples, RECORD_SCHEMA) as examples,
        open_row_writer(task.quarantine, QUARANTINE_SCHEMA) as quarantine,
    ):
        for row in LOADERS[task.part.format].load(task.part, task.params):
            row = _reject_invalid(row, task)
            if isinstance(row, RejectedRow):
                first_rejected = first_rejected or row
                quarantine.add(asdict(row))
            else:
                counts[row.mixture, row.task, row.split] += 1
                examples.add(row.to_row())
        num_rejected = quarantine.num_rows
    return ReadResult(
        source=task.part.source,
        counts=counts,
        num_rejected=num_rejected,
        first_rejected=first_rejected,
        licence=niv2.read_licence(task.part) if task.part.format == "niv2_json" else None,
    )


def _reject_invalid(row: Example | RejectedRow, task: ReadTask) -> Example | RejectedRow:
    """Return the row, or a RejectedRow if a field is too long or not encodable."""
    if isinstance(row, RejectedRow):
        return row
    longest = max(len(row.inputs), len(row.targets))
    if longest > task.params.max_field_characters:
        return task.part.reject(
            row.source_row,
            f"a field has {longest} characters, more than {task.params.max_field_characters}",
            row.inputs,
        )
    try:
        (row.inputs + row.targets).encode()
    except UnicodeEncodeError:
        # A JSON escape can encode a lone surrogate, which UTF-8 cannot represent.
        shown = row.inputs.encode("ascii", "backslashreplace").decode()
        return task.part.reject(row.source_row, "not valid text: a lone surrogate", shown)
    return row


def split_part(part: Part, max_bytes: int) -> list[Part]:
    """Split a line-oriented file at line ends into parts of about `max_bytes` bytes.

    Compressed files, Parquet files, and files of formats that are not line-oriented stay one part.
    """
    size = part.path.stat().st_size
    splittable = LOADERS[part.format].LINES and part.path.suffix not in (".gz", ".parquet")
    if not splittable or size <= max_bytes:
        return [part]
    parts: list[Part] = []
    start, row, first_row = 0, 1, 1
    with part.path.open("rb") as file:
        offset = 0
        while block := file.read(SCAN_BYTES):
            num_lines = block.count(b"\n")
            line_end = block.rfind(b"\n") + 1
            if line_end and offset + line_end - start >= max_bytes:
                stop = offset + line_end
                parts.append(replace(part, start=start, stop=stop, first_row=first_row))
                start, first_row = stop, row + num_lines
            row += num_lines
            offset += len(block)
    if start < size:
        parts.append(replace(part, start=start, stop=size, first_row=first_row))
    return parts


def _check_niv2_tasks_are_unique(parts: list[Part]) -> None:
    """Raise SourceError if two NIV2 files have the same name; the file name is the task name."""
    seen: dict[str, Part] = {}
    for part in parts:
        if part.format != "niv2_json":
            continue
        other = seen.setdefault(part.path.stem, part)
        if other is not part:
            raise SourceError(
                f"task {part.path.stem!r} is in two files, {other.name} and {part.name}; rename "
                "or remove one"
            )


def _make_report(
    results: list[ReadResult], params: ReadParams, sources: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the counts per source and task, with the source and licence of each task.

    Raises:
        SourceError: a source has too many rejected rows, or two sources contain the same task.
    """
    counts: dict[str, TaskCounts] = defaultdict(Counter)
    num_rejected: Counter[str] = Counter()
    first_rejected: dict[str, RejectedRow] = {}
    for result in results:
        counts[result.source].update(result.counts)
        num_rejected[result.source] += result.num_rejected
        if result.first_rejected is not None:
            first_rejected.setdefault(result.source, result.first_rejected)
    for source, rejected in num_rejected.items():
        num_rows = counts[source].total() + rejected
        if rejected > params.max_quarantine_share * num_rows:
            row = first_rejected[source]
            raise SourceError(
                f"source {source}: {rejected} of {num_rows} rows are rejected, more than "
                f"data_pipelines.read.max_quarantine_share {params.max_quarantine_share} allows; "
                f"first: {row.source_file}, row {row.source_row}: {row.reason}"
            )
    source_by_task = _map_tasks_to_sources(counts)
    licence_by_task = {
        (mixture, task): result.licence
        for result in results
        if result.licence is not None
        for mixture, task, _ in result.counts
    }
    tasks: TaskCounts = Counter()
    for counter in counts.values():
        tasks.update(counter)

    def describe_source(mixture: str, task: str) -> dict[str, str]:
        source = source_by_task[mixture, task]
        of_source = (sources[source]["licence"], sources[source]["terms"])
        licence, terms = licence_by_task.get((mixture, task), of_source)
        return {"source": source, "licence": licence, "terms": terms}

    return {
        "sources": {
            source: {"examples": counts[source].total(), "quarantined": num_rejected[source]}
            for source in sorted(counts)
        },
        "tasks": [
            {"mixture": mixture, "task": task, "split": split, "examples": number}
            | describe_source(mixture, task)
            for (mixture, task, split), number in sorted(tasks.items())
        ],
        "examples": sum(n for (mixture, _, _), n in tasks.items() if mixture != TEXT),
        "texts": sum(n for (mixture, _, _), n in tasks.items() if mixture == TEXT),
        "quarantined": num_rejected.total(),
    }


def _map_tasks_to_sources(counts: dict[str, TaskCounts]) -> dict[tuple[str, str], str]:
    """Return the source of each task of a mixture.

    Raises:
        SourceError: two sources contain the same task of a mixture.
    """
    source_by_task: dict[tuple[str, str], str] = {}
    for source, counter in sorted(counts.items()):
        for mixture, task, _ in counter:
            other = source_by_task.setdefault((mixture, task), source)
            if other != source:
                raise SourceError(
                    f"task {task!r} of {mixture} is in two sources, {other} and {source}; remove "
                    "one from data_pipelines.fetch.sources"
                )
    return source_by_task
