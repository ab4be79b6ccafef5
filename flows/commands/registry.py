"""`flanmoe registry …`: the group of commands, and `show`; tables or JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)
from flows.commands.registry_approvals import APPROVALS
from flows.commands.registry_artifacts import ARTIFACT_COMMANDS
from flows.commands.registry_backup import BACKUP
from flows.commands.registry_frontier import frontier, summary
from flows.commands.registry_interventions import INTERVENTIONS
from flows.commands.registry_list import history, list_versions
from flows.commands.registry_promotion import evaluate, promote, verdict_lines
from flows.commands.registry_samples import samples
from flows.commands.tables import (
    add_plain_row,
    evaluation_lines,
    format_flops,
    plain_table,
    printable,
    versions_table,
    wide_console,
)

if TYPE_CHECKING:
    from flows.config.schema import Params
    from registry.schemas import EvaluationRecordSchema, RunRecordSchema
    from registry.store import Registry
    from registry.versions import VersionInfo


@click.group()
def registry() -> None:
    """List, show, promote, roll back and reject registered versions; show the frontier."""


for command in (
    list_versions,
    history,
    frontier,
    summary,
    samples,
    promote,
    evaluate,
    *INTERVENTIONS,
    *ARTIFACT_COMMANDS,
    *APPROVALS,
    *BACKUP,
):
    registry.add_command(command)


def _open() -> tuple[Registry, Params]:
    root, params = load_workspace()
    return open_registry(root, params), params


@registry.command()
@click.argument("version", type=int)
@model_option
@json_option
def show(model: str | None, version: int, as_json: bool) -> None:
    """Show VERSION with its run record and evaluation record."""
    store, params = _open()
    info = store.show(model or params.registry.model, version)
    verdicts = store.verdicts(info.model, version)
    if as_json:
        print_json({**info.to_full_dict(), "verdicts": [verdict.to_dict() for verdict in verdicts]})
        return
    console = wide_console()
    console.print(versions_table([info.summary()]))
    for line in _remarks(store, info):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    record = info.run_record
    console.print(
        f"\ncommit {record.git_commit}, data {record.data_version}, seed {record.seed}, "
        f"preset {record.preset}, validation loss {record.losses.get('validation_loss', 'none')}\n"
        f"training {format_flops(record.training_flops)}, with the runs it starts from "
        f"{format_flops(record.cumulative_training_flops)}\n"
        f"licences of the training data: {_licence_text(record)}\n"
        f"evaluated in {_evaluation_text(info.evaluation)}\n",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    table = plain_table(["task", ">items", ">accuracy", ">chance", ">normalised", "split", "file"])
    for task in info.evaluation.tasks:
        add_plain_row(
            table,
            task.task,
            str(task.num_items),
            f"{100 * task.accuracy:.1f} ± {100 * task.standard_error:.1f} %",
            f"{100 * task.random_score:.1f} %",
            f"{task.normalised:.1f}",
            task.split,
            task.source_file,
        )
    console.print(table)
    console.print()
    lines = [*evaluation_lines([info]), *_protocol_lines(info)]
    for line in lines + (["", *verdict_lines(verdicts[-1])] if verdicts else []):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _remarks(store: Registry, info: VersionInfo) -> list[str]:
    """Return lines with aliases, description, tags, notes and the last decisions of people."""
    lines = []
    names = [alias for alias in info.aliases if alias != "champion"]
    if names:
        lines.append(f"aliases: {', '.join(names)}")
    if info.is_pinned:
        lines.append("pinned")
    removal = store.removal_note(info)
    if removal:
        lines.append(removal)
    if info.description:
        lines.append(f"description: {info.description}")
    lines += [f"tag {key}: {value}" for key, value in info.tags.items()]
    lines += [
        f"note of {note.author}, {note.at:%Y-%m-%d %H:%M}: {note.text}"
        for note in store.notes(info.model, info.version)
    ]
    return ["\n".join(map(printable, line.splitlines())) for line in lines]


def _licence_text(record: RunRecordSchema) -> str:
    """Describe the licences of a run's data by their terms; the JSON form names the sources."""
    if record.licences is None:
        return "not recorded"
    num_sources = Counter(licence.terms for licence in record.licences)
    return ", ".join(f"{count} {terms}" for terms, count in sorted(num_sources.items())) or "none"


def _evaluation_text(record: EvaluationRecordSchema) -> str:
    """Describe precision, device, contaminated items and the test of the contamination check."""
    from registry.comparison.precision import describe_precision

    num_contaminated, test = record.num_contaminated, record.overlap_self_test
    contaminated = "unknown" if num_contaminated is None else f"{num_contaminated:,}"
    figures = (
        "without a self-test"
        if test is None
        else f"recall {test.min_recall:.3f} and precision {test.precision:.4f} on planted overlaps"
    )
    return (
        f"{describe_precision(record)}; contaminated items: {contaminated} of "
        f"{record.num_items:,} (contamination check: {figures})"
    )


def _protocol_lines(info: VersionInfo) -> list[str]:
    """Return a line for the protocol of each suite, and one for each difference from it."""
    lines = []
    for suite in info.evaluation.suites:
        if suite.protocol.follows:
            lines.append(f"{suite.suite}: {suite.protocol.follows} ({suite.protocol.source})")
            lines += [f"  but: {difference}" for difference in suite.protocol.differences]
    return lines
