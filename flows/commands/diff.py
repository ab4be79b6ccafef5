"""`flanmoe data diff`: the difference of two data versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import json_option, print_json
from flows.commands.tables import plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table


@click.command(short_help="Compare two data versions.")
@click.argument("before")
@click.argument("after", default="")
@json_option
def diff(before: str, after: str, as_json: bool) -> None:
    """Compare the data versions BEFORE and AFTER: sources, rows, shares, tokenizer, quarantine.

    A version is a folder with the outputs of the data stages (a workspace or its folder data), or
    a git revision, whose outputs are read from the DVC cache. Default of AFTER: the project.
    """
    from data_pipelines.data_version import open_version
    from data_pipelines.diff import diff_data
    from flows.runtime.workspace import find_project

    project = find_project()
    with (
        open_version(before, project) as first,
        open_version(after or str(project), project) as second,
    ):
        difference = diff_data(first, second)
    if as_json:
        print_json(difference)
        return
    console = wide_console()
    for line in _describe_sources(difference["sources"]):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(_rows_table(difference["mixtures"]))
    for line in _describe_rest(difference):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _describe_sources(sources: dict[str, Any]) -> list[str]:
    lines = [f"source {name}: {kind}" for kind in ("added", "removed") for name in sources[kind]]
    for name, changes in sources["changed"].items():
        parts = []
        for field, value in changes.items():
            if field.startswith("files_"):
                parts.append(f"{field.replace('_', ' ')}: {', '.join(value)}")
            else:
                parts.append(f"{field}: {value[0]} -> {value[1]}")
        lines.append(f"source {name}: {'; '.join(parts)}")
    return lines or ["sources: the same"]


def _rows_table(mixtures: dict[str, Any]) -> Table:
    """Return a table of the mixtures and of the tasks that differ."""
    table = plain_table(
        ["mixture, task", ">before", ">after", ">added", ">removed", ">changed", ">share before",
         ">share after"]
    )  # fmt: skip
    for name, mixture in mixtures.items():
        shares = [f"{share:.1%}" for share in mixture["share"]]
        table.add_row(name, *_format_counts(mixture), *shares, style="bold")
        for task, counts in mixture["tasks"].items():
            if counts["added"] or counts["removed"] or counts["changed"]:
                table.add_row(f"  {task}", *_format_counts(counts), "", "")
    return table


def _format_counts(counts: dict[str, Any]) -> list[str]:
    numbers = (*counts["examples"], counts["added"], counts["removed"], counts["changed"])
    return [f"{number:,}" for number in numbers]


def _describe_rest(difference: dict[str, Any]) -> list[str]:
    """Return the lines on the totals, the tokenizer and the quarantined rows."""
    before, after = difference["tokenizer"]
    if before == after:
        tokenizer = f"the same ({after['vocab_size']:,} tokens, {after['sha256'][:12]})"
    else:
        tokenizer = " -> ".join(
            f"{entry['vocab_size']:,} tokens, {entry['sha256'][:12]}" for entry in (before, after)
        )
    lines = [
        f"packed data: {_format_change(difference['data_version'])}",
        f"tokenizer: {tokenizer}",
        f"examples: {_format_change(difference['examples'])}; "
        f"plain texts: {_format_change(difference['texts'])}",
        f"quarantined rows: {_format_change(difference['quarantined'])}",
    ]
    for file, counts in difference["quarantine"].items():
        changes = [
            f"{counts[kind]:,} {kind}" for kind in ("added", "removed", "changed") if counts[kind]
        ]
        if changes:
            lines.append(f"  {file}: {', '.join(changes)}")
    return lines


def _format_change(pair: list[Any]) -> str:
    texts = [f"{value:,}" if isinstance(value, int) else str(value) for value in pair]
    return f"the same ({texts[0]})" if pair[0] == pair[1] else " -> ".join(texts)
