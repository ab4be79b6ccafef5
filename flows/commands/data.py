"""`flanmoe data …`: the catalog of sources, and the report on the mixture.

The commands `seen` and `diff` are in modules of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.diff import diff
from flows.commands.options import json_option, load_workspace, print_json, workspace_option
from flows.commands.seen import seen
from flows.commands.tables import plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table

    from data_pipelines.sources.source import Source
    from flows.config.schema import Params


@click.group()
def data() -> None:
    """Show the data sources, the mixture, what a run trained on, and what differs."""


data.add_command(seen)
data.add_command(diff)


@data.command(short_help="List every source of the catalog.")
@json_option
def catalog(as_json: bool) -> None:
    """List every source: origin, licence, and whether its files are present."""
    from data_pipelines import catalog as catalogs

    root, params = load_workspace()
    path = catalogs.resolve_path(params.data_pipelines.fetch.catalog)
    hashes = catalogs.load_hashes(path)
    rows = [
        _catalog_entry(name, source, params, root, hashes)
        for name, source in catalogs.load(path).items()
    ]
    if as_json:
        print_json(rows)
        return
    table = plain_table(
        ["source", "for", "format", "files", "licence", "terms", "allowed", "state"]
    )
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


@data.command(short_help="Report on the mixture.")
@json_option
@workspace_option
def report(as_json: bool, workspace: Path | None) -> None:
    """Report on the mixture: shares, duplicates, quarantine, contamination.

    Runs the self-test of the contamination check: evaluation items are planted in rows of the
    mixture, and the share that the check finds is shown.
    """
    from data_pipelines import layout
    from data_pipelines.report.gather import gather_report
    from data_pipelines.report.self_test import run_self_test
    from flows.runtime.workspace import find_project

    folder = workspace or find_project()
    summary = {**gather_report(folder), "self_test": run_self_test(folder).to_dict()}
    if as_json:
        print_json(summary)
        return
    console = wide_console()
    console.print(_shares_table(summary))
    console.print()
    console.print(_contamination_table(summary))
    console.print()
    console.print(_self_test_table(summary["self_test"]))
    packed = summary["packing"]["train"]
    lines = [
        "",
        f"{summary['examples']:,} examples ({summary['validation_examples']:,} for validation), "
        f"{summary['few_shot_examples']:,} few-shot; {summary['quarantined']:,} rows in quarantine",
        "duplicates: "
        + (", ".join(f"{n:,} {kind}" for kind, n in summary["duplicates"].items()) or "none")
        + f"; {summary['rows_dropped']:,} rows dropped, {summary['rows_flagged']:,} flagged",
        f"self-test of the contamination check: smallest recall of a verbatim kind "
        f"{summary['self_test']['min_recall']:.1%}, precision "
        f"{summary['self_test']['precision']:.1%}",
        f"packed: {packed['rows']:,} rows (lower bound {packed['row_lower_bound']:,}), encoder "
        f"fill {packed['encoder_fill']:.1%}, decoder fill {packed['decoder_fill']:.1%}, "
        f"{packed['truncated']:,} truncated",
        f"licences: {_describe_licences(summary)}",
        *(f"warning: {line}" for line in summary["omissions"]),
        *(f"warning: {f['suite']}: {f['column']}: {f['observed']}"
          for f in summary["expectations"]["warnings"]),
        f"full report, by task: {folder / layout.PACKED / 'report.html'}",
    ]  # fmt: skip
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _describe_licences(summary: dict[str, Any]) -> str:
    """Return the number of sources of the mixture and its text by their terms of use."""
    sources = {
        (entry["terms"], entry["source"])
        for entry in (*summary["licences"], *summary["text_licences"])
    }
    counts = Counter(terms for terms, _ in sorted(sources))
    return ", ".join(f"{terms} {number}" for terms, number in counts.items()) + " (sources)"


def _catalog_entry(
    name: str, source: Source, params: Params, root: Path, hashes: dict[str, str]
) -> dict[str, Any]:
    from data_pipelines import catalog as catalogs
    from data_pipelines import layout

    fetch = params.data_pipelines.fetch
    known_files = [file for file in hashes if catalogs.matches_any(file, source.files)]
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
        "known_files": len(known_files),
        "hashes": {file: hashes[file] for file in known_files},
        "allowed": source.terms in fetch.licences,
        "state": state,
    }


def _shares_table(summary: dict[str, Any]) -> Table:
    table = plain_table(["mixture", ">share", ">target", ">examples", ">available", ">tasks"])
    for name, entry in summary["mixtures"].items():
        table.add_row(
            name,
            f"{entry['share']:.1%}",
            f"{entry['target_share']:.1%}",
            f"{entry['examples']:,}",
            f"{entry['available']:,}",
            str(len(entry["tasks"])),
        )
    return table


def _contamination_table(summary: dict[str, Any]) -> Table:
    table = plain_table(
        [
            "evaluation suite",
            ">items",
            ">overlap with sources",
            ">overlap with mixture",
            "largest overlap",
        ]
    )
    for suite, entry in summary["contamination"].items():
        largest = max(entry["tasks"], key=lambda task: task["num_rows"], default=None)
        table.add_row(
            suite,
            f"{entry['num_items']:,}",
            f"{entry['num_items_in_sources']:,}",
            f"{entry['num_items_in_mixture']:,}",
            f"{largest['task']} ({largest['num_rows']:,} rows)" if largest else "",
        )
    return table


def _self_test_table(self_test: dict[str, Any]) -> Table:
    table = plain_table(["planted in rows of the mixture", ">rows", ">matched", ">share"])
    rows = [
        *((kind, entry) for kind, entry in self_test["kinds"].items()),
        *((f"boilerplate: {kind}", entry) for kind, entry in self_test["boilerplate"].items()),
    ]
    for kind, entry in rows:
        share = entry["num_matched"] / entry["num_rows"]
        table.add_row(
            kind.replace("_", " "),
            f"{entry['num_rows']:,}",
            f"{entry['num_matched']:,}",
            f"{share:.1%}",
        )
    return table
