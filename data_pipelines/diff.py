"""The difference of two data versions: sources, rows, shares, tokenizer, quarantine."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_pipelines import layout
from data_pipelines.database import open_database, quote_literal
from data_pipelines.errors import DataError
from data_pipelines.example import TEXT
from data_pipelines.stage_outputs import read_stage_json

MEMORY_MB = 1024
Pair = tuple[Any, Any]
"""A value of the first version and of the second."""


def diff_data(before: Path, after: Path) -> dict[str, Any]:
    """Compare two data versions.

    A row is identified by its uid and the number of its repetition. It is changed if its prompt,
    target or split differs.

    Args:
        before: workspace folder of the first version.
        after: workspace folder of the second version.

    Returns:
        The record that `flanmoe data diff --json` prints; a list of two values is before and after.

    Raises:
        DataError: an output is missing, malformed, or of an older release.
    """
    workspaces = (before, after)
    manifests = _read_pair(workspaces, layout.RAW / "manifest.json")
    records = _read_pair(workspaces, layout.RECORDS / "report.json")
    mixes = _read_pair(workspaces, layout.MIXTURE / "report.json")
    packed = _read_pair(workspaces, layout.PACKED / "train" / "manifest.json")
    try:
        rows, quarantine = _diff_rows(workspaces)
        return {
            "data_version": [packed[0]["version"], packed[1]["version"]],
            "sources": _diff_sources(*manifests),
            "examples": [mixes[0]["examples"], mixes[1]["examples"]],
            "texts": [mixes[0]["texts"], mixes[1]["texts"]],
            "mixtures": _diff_mixtures(rows, *mixes),
            "tokenizer": list(_read_pair(workspaces, layout.TOKENIZER / "tokenizer.json")),
            "quarantined": [records[0]["quarantined"], records[1]["quarantined"]],
            "quarantine": quarantine,
        }
    except KeyError as error:
        raise DataError(
            f"{before}, {after}: the data reports have no field {error}: an older release of "
            "flanmoe wrote them; run `flanmoe run`"
        ) from None


def _diff_sources(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return added, removed and changed sources.

    Args:
        before: data/raw/manifest.json of the first version.
        after: the same of the second version.
    """
    sources = before["sources"], after["sources"]
    changed = {}
    for name in sorted(set(sources[0]) & set(sources[1])):
        files = [
            {file: manifest["files"][file]["sha256"] for file in entry["present_files"]}
            for manifest, entry in ((before, sources[0][name]), (after, sources[1][name]))
        ]
        difference: dict[str, Any] = {
            "files_added": sorted(set(files[1]) - set(files[0])),
            "files_removed": sorted(set(files[0]) - set(files[1])),
            "files_changed": sorted(
                file for file in set(files[0]) & set(files[1]) if files[0][file] != files[1][file]
            ),
        }
        difference |= {
            field: [sources[0][name][field], sources[1][name][field]]
            for field in ("licence", "terms", "options")
            if sources[0][name][field] != sources[1][name][field]
        }
        if any(difference.values()):
            changed[name] = {field: value for field, value in difference.items() if value}
    return {
        "added": sorted(set(sources[1]) - set(sources[0])),
        "removed": sorted(set(sources[0]) - set(sources[1])),
        "changed": changed,
    }


def _diff_mixtures(
    rows: dict[str, dict[str, dict[str, Any]]], before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    """Return the counts and shares by mixture, with the counts by task.

    Args:
        rows: counts of `_diff_rows` by mixture and task.
        before: data/mixture/report.json of the first version.
        after: the same of the second version.
    """
    names = sorted({*before["mixtures"], *after["mixtures"], *rows})
    result = {}
    for name in names:
        tasks = rows.get(name, {})
        entries = [report["mixtures"].get(name, {}) for report in (before, after)]
        result[name] = {
            "examples": [sum(t["examples"][side] for t in tasks.values()) for side in (0, 1)],
            **{
                kind: sum(task[kind] for task in tasks.values())
                for kind in ("added", "removed", "changed")
            },
            "share": [entry.get("share", 0.0) for entry in entries],
            "target_share": [entry.get("target_share", 0.0) for entry in entries],
            "tasks": tasks,
        }
    return result


def _diff_rows(
    workspaces: tuple[Path, Path],
) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, dict[str, Any]]]:
    """Join the rows of both versions by uid and repetition, quarantined rows by file and row.

    Returns:
        Counts by mixture and task, and counts of quarantined rows by source file.
    """
    with (
        TemporaryDirectory(prefix="flanmoe-diff-") as scratch,
        open_database(Path(scratch), MEMORY_MB) as connection,
    ):
        for view, workspace in zip(("a", "b"), workspaces, strict=True):
            connection.execute(f"CREATE VIEW {view} AS {_select_rows(workspace)}")
            quarantine = quote_literal(workspace / layout.RECORDS / "quarantine.parquet")
            connection.execute(
                f"CREATE VIEW {view}_rejected AS SELECT source_file, source_row, reason "
                f"FROM read_parquet({quarantine})"
            )
        counts = connection.execute(
            """
            SELECT coalesce(a.mixture, b.mixture), coalesce(a.task, b.task),
                   count(a.uid), count(b.uid),
                   count(*) FILTER (a.uid IS NULL), count(*) FILTER (b.uid IS NULL),
                   count(*) FILTER (a.content <> b.content)
            FROM a FULL OUTER JOIN b
            ON a.mixture = b.mixture AND a.uid = b.uid AND a.repetition = b.repetition
            GROUP BY 1, 2 ORDER BY 1, 2
            """
        ).fetchall()
        rejected = connection.execute(
            """
            SELECT coalesce(a.source_file, b.source_file),
                   count(a.source_file), count(b.source_file),
                   count(*) FILTER (a.source_file IS NULL), count(*) FILTER (b.source_file IS NULL),
                   count(*) FILTER (a.reason <> b.reason)
            FROM a_rejected a FULL OUTER JOIN b_rejected b
            ON a.source_file = b.source_file AND a.source_row = b.source_row
            GROUP BY 1 ORDER BY 1
            """
        ).fetchall()
    rows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for mixture, task, *values in counts:
        rows[mixture][task] = _to_counts("examples", values)
    return dict(rows), {file: _to_counts("rows", values) for file, *values in rejected}


def _to_counts(name: str, values: list[int]) -> dict[str, Any]:
    before, after, added, removed, changed = values
    return {name: [before, after], "added": added, "removed": removed, "changed": changed}


def _select_rows(workspace: Path) -> str:
    """Return the SQL of the examples and plain texts: mixture, task, identity, a content hash."""
    mixture = workspace / layout.MIXTURE
    examples = quote_literal(mixture / "examples" / "*.parquet")
    select = (
        "SELECT mixture, task, uid, repetition, "
        "md5(concat_ws(chr(0), split, inputs, targets)) AS content "
        f"FROM read_parquet({examples})"
    )
    if any((mixture / "text").glob("*.parquet")):
        texts = quote_literal(mixture / "text" / "*.parquet")
        # Text made of examples has their mixtures, and the examples are compared already.
        select += (
            f" UNION ALL SELECT mixture, task, uid, 0, md5(text) FROM read_parquet({texts}) "
            f"WHERE mixture = '{TEXT}'"
        )
    return select


def _read_pair(workspaces: tuple[Path, Path], path: Path) -> Pair:
    before, after = (read_stage_json(workspace / path, "run") for workspace in workspaces)
    return before, after
