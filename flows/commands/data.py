"""`flanmoe data …`: the catalog of sources, and the report on the mixture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from data_pipelines import catalog as catalogs
from data_pipelines import layout
from data_pipelines.report.gather import gather
from data_pipelines.sources.source import Source
from flows.config import load as check
from flows.config.schema import Params
from flows.runtime import workspace as project
from flows.runtime.display import wide_console


def catalog(as_json: bool) -> None:
    """Every source of the catalog that params.yaml names."""
    root = project.find()
    params = check.load(root / "params.yaml")
    path = catalogs.path_of(params.data_pipelines.fetch.catalog)
    pins = catalogs.pins(path)
    rows = [
        _entry(name, source, params, root, pins) for name, source in catalogs.load(path).items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("source", "for", "format", "files", "licence", "terms", "allowed", "state"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            row["mixture"] or f"evaluation: {row['suite']}",
            row["format"],
            str(row["known_files"] or "any"),
            row["licence"],
            row["terms"],
            "yes" if row["allowed"] else "no",
            row["state"],
        )
    wide_console().print(table)


def report(as_json: bool, workspace: Path | None) -> None:
    """What the stages of the data room made, from their own reports."""
    folder = workspace or project.find()
    found = gather(folder)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    console = wide_console()
    console.print(_shares(found))
    console.print()
    console.print(_overlaps(found))
    packed = found["packing"]["train"]
    lines = [
        "",
        f"{found['examples']:,} examples ({found['validation_examples']:,} for validation), "
        f"{found['few_shot_examples']:,} few-shot; {found['quarantined']:,} rows in quarantine",
        "duplicates: "
        + (", ".join(f"{n:,} {how}" for how, n in found["duplicates"].items()) or "none")
        + f"; {found['rows_dropped']:,} rows dropped, {found['rows_flagged']:,} flagged",
        f"packed: {packed['rows']:,} rows (no packing below {packed['fewest_rows']:,}), encoder "
        f"fill {packed['encoder_fill']:.1%}, decoder fill {packed['decoder_fill']:.1%}, "
        f"{packed['truncated']:,} truncated",
        *(f"warning: {f['suite']}: {f['column']}: {f['observed']}"
          for f in found["expectations"]["warnings"]),
        f"The whole of it, by task: {folder / layout.PACKED / 'report.html'}",
    ]  # fmt: skip
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _entry(
    name: str, source: Source, params: Params, root: Path, pins: dict[str, str]
) -> dict[str, Any]:
    fetch = params.data_pipelines.fetch
    pinned = [file for file in pins if catalogs.matches(file, source.files)]
    present = [p for pattern in source.files for p in (root / layout.RAW).glob(pattern)]
    if present:
        state = "present"
    elif fetch.root and any(
        any(Path(fetch.root).glob(pattern)) for pattern in source.files if "://" not in fetch.root
    ):
        state = "in the root, not fetched"
    else:
        state = "missing"
    return {
        "name": name,
        **asdict(source),
        "known_files": len(pinned),
        "hashes": {file: pins[file] for file in pinned},
        "allowed": source.terms in fetch.licences,
        "state": state,
    }


def _shares(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("mixture")
    for column in ("share", "target", "examples", "available", "tasks"):
        table.add_column(column, justify="right")
    for name, entry in found["mixtures"].items():
        table.add_row(
            name,
            f"{entry['share']:.1%}",
            f"{entry['target_share']:.1%}",
            f"{entry['examples']:,}",
            f"{entry['available']:,}",
            str(len(entry["tasks"])),
        )
    return table


def _overlaps(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("evaluation suite")
    for column in ("items", "found in the sources", "left in the mixture"):
        table.add_column(column, justify="right")
    table.add_column("most in")
    for suite, entry in found["contamination"].items():
        most = max(entry["tasks"], key=lambda task: task["rows"], default=None)
        table.add_row(
            suite,
            f"{entry['items']:,}",
            f"{entry['items_found']:,}",
            f"{entry['items_in_mixture']:,}",
            f"{most['task']} ({most['rows']:,} rows)" if most else "",
        )
    return table
