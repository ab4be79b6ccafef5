"""Stage `read`: every source into the Example contract, each row put into words by one template.

Writes data/records: examples/*.parquet, one file for each part of a source; quarantine.parquet,
the rows that could not be read; report.json, how many of which source and task.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

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
from data_pipelines.sources.part import Part
from data_pipelines.sources.table import LOADERS
from data_pipelines.tables import concatenate, row_writer

SCAN = 1 << 22


@dataclass(frozen=True, kw_only=True)
class ReadTask:
    """One part to read, and where its rows go."""

    part: Part
    params: ReadParams
    examples: Path
    quarantine: Path


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """What became of a part's rows."""

    source: str
    counts: dict[tuple[str, str, str], int]
    """(mixture, task, split) -> examples."""
    refused: int
    first: RejectedRow | None


def run(params: ReadParams, engine: EngineParams, workspace: Path) -> None:
    """Raises SourceError for a broken source, one that loses too many rows, or a task that two
    sources claim."""
    parts = [
        part
        for name, source in manifest.sources(workspace).items()
        if source["mixture"]
        for file in source["found"]
        for part in cut(manifest.part(workspace, name, source, file), params.part_mb << 20)
    ]
    if not parts:
        raise SourceError(f"{workspace / layout.RAW} holds no training file; run `flanmoe fetch`")
    _one_file_a_task(parts)
    with new_folder(workspace / layout.RECORDS) as out:
        (out / "examples").mkdir()
        (out / "refused").mkdir()
        jobs = [
            ReadTask(
                part=part,
                params=params,
                examples=out / "examples" / f"{number:05d}.parquet",
                quarantine=out / "refused" / f"{number:05d}.parquet",
            )
            for number, part in enumerate(parts)
        ]
        with open_engine(engine) as workers:
            outcomes = list(
                tqdm(workers.map(read_part, jobs), desc="read", total=len(jobs), unit="part")
            )
        report = _report(outcomes, params)
        concatenate((job.quarantine for job in jobs), out / "quarantine.parquet", QUARANTINE_SCHEMA)
        for job in jobs:
            job.quarantine.unlink()
        (out / "refused").rmdir()
        write_json(out / "report.json", report)


def read_part(job: ReadTask) -> ReadResult:
    """Writes the rows of one part; the same files whoever calls it, however often."""
    counts: Counter[tuple[str, str, str]] = Counter()
    first = None
    with (
        row_writer(job.examples, RECORD_SCHEMA) as examples,
        row_writer(job.quarantine, QUARANTINE_SCHEMA) as quarantine,
    ):
        for row in LOADERS[job.part.format].load(job.part, job.params):
            row = _checked(row, job)
            if isinstance(row, RejectedRow):
                first = first or row
                quarantine.add(asdict(row))
            else:
                counts[row.mixture, row.task, row.split] += 1
                examples.add(row.to_row())
        refused = quarantine.count
    return ReadResult(source=job.part.source, counts=dict(counts), refused=refused, first=first)


def _checked(row: Example | RejectedRow, job: ReadTask) -> Example | RejectedRow:
    if isinstance(row, RejectedRow):
        return row
    longest = max(len(row.inputs), len(row.targets))
    if longest > job.params.max_field_characters:
        return job.part.refused(
            row.source_row,
            f"a field of {longest} characters, more than {job.params.max_field_characters}",
            row.inputs,
        )
    try:
        (row.inputs + row.targets).encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair, which is no text.
        shown = row.inputs.encode("ascii", "backslashreplace").decode()
        return job.part.refused(row.source_row, "half a surrogate pair: not text", shown)
    return row


def cut(part: Part, most: int) -> list[Part]:
    """A line-oriented file of more than `most` bytes in parts of about that, each whole lines."""
    size = part.path.stat().st_size
    whole = part.path.suffix in (".gz", ".parquet")
    if not LOADERS[part.format].LINES or whole or size <= most:
        return [part]
    parts: list[Part] = []
    start, row, first = 0, 1, 1
    with part.path.open("rb") as file:
        at = 0
        while block := file.read(SCAN):
            lines = block.count(b"\n")
            end = block.rfind(b"\n") + 1
            if end and at + end - start >= most:
                parts.append(replace(part, start=start, stop=at + end, first_row=first))
                start, first = at + end, row + lines
            row += lines
            at += len(block)
    if start < size:
        parts.append(replace(part, start=start, stop=size, first_row=first))
    return parts


def _one_file_a_task(parts: list[Part]) -> None:
    """A NIV2 task is named by its file: two files of a name would be one task by accident."""
    seen: dict[str, Part] = {}
    for part in parts:
        if part.format != "niv2_json":
            continue
        other = seen.setdefault(part.path.stem, part)
        if other is not part:
            raise SourceError(
                f"task {part.path.stem!r} is in two files, {other.name} and {part.name}: rename "
                "or remove one"
            )


def _report(outcomes: list[ReadResult], params: ReadParams) -> dict[str, Any]:
    counts: dict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    refused: Counter[str] = Counter()
    first: dict[str, RejectedRow] = {}
    for outcome in outcomes:
        counts[outcome.source].update(outcome.counts)
        refused[outcome.source] += outcome.refused
        if outcome.first is not None:
            first.setdefault(outcome.source, outcome.first)
    for source, lost in refused.items():
        rows = counts[source].total() + lost
        if lost > params.max_quarantine_share * rows:
            row = first[source]
            raise SourceError(
                f"source {source}: {lost} of {rows} rows cannot be read, first {row.source_file}, "
                f"row {row.source_row}: {row.reason} (limit: data_pipelines.read."
                f"max_quarantine_share {params.max_quarantine_share})"
            )
    _one_source_a_task(counts)
    tasks: Counter[tuple[str, str, str]] = Counter()
    for counter in counts.values():
        tasks.update(counter)
    return {
        "sources": {
            source: {"examples": counts[source].total(), "quarantined": refused[source]}
            for source in sorted(counts)
        },
        "tasks": [
            {"mixture": mixture, "task": task, "split": split, "examples": number}
            for (mixture, task, split), number in sorted(tasks.items())
        ],
        "examples": sum(n for (mixture, _, _), n in tasks.items() if mixture != TEXT),
        "texts": sum(n for (mixture, _, _), n in tasks.items() if mixture == TEXT),
        "quarantined": refused.total(),
    }


def _one_source_a_task(counts: dict[str, Counter[tuple[str, str, str]]]) -> None:
    owner: dict[tuple[str, str], str] = {}
    for source, counter in sorted(counts.items()):
        for mixture, task, _ in counter:
            other = owner.setdefault((mixture, task), source)
            if other != source:
                raise SourceError(
                    f"task {task!r} of {mixture} comes from two sources, {other} and {source}: "
                    "leave one out of data_pipelines.fetch.sources"
                )
