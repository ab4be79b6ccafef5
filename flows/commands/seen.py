"""`flanmoe data seen`: the rows that a run trained on."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import json_option, workspace_option
from flows.commands.replicates import find_replicates, present_replicates
from flows.commands.tables import plain_table, wide_console

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

    from data_pipelines.seen import TrainedRun
    from models.replicate import Replicate
    from registry.schemas import RunRecordSchema

MAX_ROWS_SHOWN = 200
"""Rows of a table on the terminal; rich needs about a millisecond for each."""

FILE_WIDTH = 400
"""Width outside a terminal, so that no long name is folded."""


class StepRange(click.ParamType["tuple[int, int | None]"]):
    """A range of steps, `A:B`, both included; `A:`, `:B` and `A` are short forms."""

    name = "A:B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int | None]:
        """Return the first and the last step; None for the last step of the run."""
        match = re.fullmatch(r"(\d*)(:?)(\d*)", value)
        if match is None or not (match[1] or match[3]):
            self.fail(f"{value!r} is not a range of steps A:B, such as 1:20", param, ctx)
        first = int(match[1] or 1)
        if not match[2]:
            return first, first
        return first, int(match[3]) if match[3] else None


@dataclass(frozen=True, kw_only=True)
class RunReads:
    """The reads of an example by one run of a chain."""

    run: str
    corpus: str
    is_in_corpus: bool
    reads: pa.Table


@click.command(short_help="List the rows that a run trained on.")
@click.argument("run")
@click.option("--steps", type=StepRange(), help="Steps of the run, both ends included.")
@click.option("--item", metavar="UID", help="Example whose reads are listed.")
@json_option
@workspace_option
def seen(
    run: str,
    steps: tuple[int, int | None] | None,
    item: str | None,
    as_json: bool,
    workspace: Path | None,
) -> None:
    """List the rows that RUN trained on, from its record and the packed data.

    RUN is a run of one seed, or a run and a seed, e.g. moe_base-1.

    --steps lists the examples of a range of steps; --item lists the steps at which an example was
    read, also as an exemplar in the prompt of another one, by RUN and by the runs that it starts
    from. Steps, epochs, rows of a batch and segments of a packed row count from 1.
    """
    from flows.runtime.workspace import find_project

    if (steps is None) == (item is None):
        raise click.UsageError("give either --steps or --item")
    folder = workspace or find_project()
    replicate = _find_replicate(run, folder)
    if steps is not None:
        _show_steps(folder, replicate, steps, as_json)
    else:
        assert item is not None
        _show_item(folder, replicate, item, as_json)


def _find_replicate(name: str, folder: Path) -> Replicate:
    """Return the only seed of a run, or the named one.

    Raises:
        FlowError: no run of this name has finished, or the run has several seeds.
    """
    from data_pipelines.suggestions import did_you_mean
    from flows.errors import FlowError

    replicates = find_replicates(name, folder)
    if len(replicates) == 1:
        return replicates[0]
    if replicates:
        labels = ", ".join(replicate.label for replicate in replicates)
        raise FlowError(f"{name}: it has {len(replicates)} seeds; name one of them: {labels}")
    finished = [r for r in present_replicates(folder) if _record_path(folder, r).is_file()]
    runs = sorted({replicate.run for replicate in finished})
    raise FlowError(
        f"{name}: it is no run of {folder}; {did_you_mean(name, runs)}finished runs are "
        f"{', '.join(runs) or 'none: run `flanmoe run`'}"
    )


def _show_steps(
    folder: Path, replicate: Replicate, steps: tuple[int, int | None], as_json: bool
) -> None:
    from data_pipelines import layout
    from data_pipelines.seen import examples_of_steps, open_origins

    record = _read_record(folder, replicate)
    run = _trained_run(record, folder, replicate)
    first, last = steps[0], run.steps if steps[1] is None else steps[1]
    table = examples_of_steps(run, open_origins(run, folder / layout.PACKED), first, last)
    if as_json:
        _print_json(
            {"run": replicate.label, "corpus": run.corpus, "data_version": run.data_version,
             "steps": [first, last]},
            "examples",
            table,
        )  # fmt: skip
        return
    console = wide_console()
    _print_line(
        console,
        f"{replicate.label}, steps {first} to {last} of {run.steps}: {len(table):,} examples in "
        f"{(last - first + 1) * run.global_batch_size:,} rows of {layout.PACKED / run.corpus}, "
        f"version {run.data_version}",
    )
    _print_examples(console, table)
    _print_final_weights_note(console, record)


def _show_item(folder: Path, replicate: Replicate, uid: str, as_json: bool) -> None:
    runs, origin = _reads_of_chain(folder, replicate, uid)
    if as_json:
        _print_json_runs(replicate.label, uid, origin, runs)
        return
    console = wide_console()
    for entry in runs:
        if not entry.is_in_corpus:
            _print_line(console, f"{entry.run}: {uid} is not in its corpus, {entry.corpus}")
        else:
            _print_line(console, f"{entry.run}: {len(entry.reads):,} reads in {entry.corpus}")
            _print_examples(console, entry.reads)
    if origin:
        _print_line(console, f"{origin}: its run record is missing, so its data is unknown")
    _print_final_weights_note(console, _read_record(folder, replicate))


def _reads_of_chain(folder: Path, replicate: Replicate, uid: str) -> tuple[list[RunReads], str]:
    """Return the reads by a run and by the runs of the same seed that it starts from.

    Returns:
        The reads run by run, and the first run of the chain if it has no record (imported weights),
        else "".
    """
    from data_pipelines import layout
    from data_pipelines.seen import open_origins, reads_of_example
    from models.training.params import SCRATCH

    runs: list[RunReads] = []
    while replicate.run != SCRATCH:
        if runs and not _record_path(folder, replicate).is_file():
            return runs, replicate.run
        record = _read_record(folder, replicate)
        run = _trained_run(record, folder, replicate)
        origins = open_origins(run, folder / layout.PACKED)
        runs.append(
            RunReads(
                run=replicate.label,
                corpus=str(layout.PACKED / run.corpus),
                is_in_corpus=bool(len(origins.segments_of_example(uid))),
                reads=reads_of_example(run, origins, uid),
            )
        )
        replicate = dataclasses.replace(replicate, run=record.start)
    return runs, ""


def _record_path(folder: Path, replicate: Replicate) -> Path:
    return folder / replicate.folder / "run.json"


def _read_record(folder: Path, replicate: Replicate) -> RunRecordSchema:
    """Read the record of a finished run.

    Raises:
        FlowError: the run has not finished.
        InvalidRecord: the record is malformed.
    """
    from flows.errors import FlowError
    from registry.records import read_run_record

    path = _record_path(folder, replicate)
    if not path.is_file():
        raise FlowError(f"{replicate.label}: {path} is missing; `flanmoe run` trains it")
    return read_run_record(path)


def _trained_run(record: RunRecordSchema, folder: Path, replicate: Replicate) -> TrainedRun:
    from data_pipelines.seen import TrainedRun
    from flows.errors import FlowError

    try:
        size = int(record.params["training"]["global_batch_size"])
    except KeyError:
        raise FlowError(
            f"{_record_path(folder, replicate)}: params.training.global_batch_size is missing: an "
            "older release of flanmoe trained the run; train it again"
        ) from None
    return TrainedRun(
        corpus=record.data,
        tasks=record.tasks,
        data_version=record.data_version,
        steps=record.steps,
        global_batch_size=size,
        seed=record.seed,
        skipped_batches=record.skipped_batches,
    )


def _print_examples(console: Console, table: pa.Table) -> None:
    """Print the first rows of a table of reads."""
    if not len(table):
        return
    shown = plain_table(
        [">step", ">epoch", ">row", ">packed row", ">segment", "uid", "source file", ">source row",
         "mixture", "task", ">exemplars"]
    )  # fmt: skip
    columns = ("step", "epoch", "batch_row", "packed_row", "segment", "uid", "source_file",
               "source_row", "mixture", "task")  # fmt: skip
    for row in table.slice(0, MAX_ROWS_SHOWN).to_pylist():
        shown.add_row(*(str(row[column]) for column in columns), str(len(row["exemplars"])))
    console.print(shown, width=None if console.is_terminal else FILE_WIDTH, crop=False)
    if len(table) > MAX_ROWS_SHOWN:
        _print_line(console, f"{len(table) - MAX_ROWS_SHOWN:,} more; --json lists all")


def _print_final_weights_note(console: Console, record: RunRecordSchema) -> None:
    """Say that late steps may not be in the weights, if they are of an earlier checkpoint."""
    source = record.params["training"].get("checkpoint", {}).get("final_weights", "last")
    if source == "best":
        _print_line(
            console,
            "models.training.checkpoint.final_weights is best: steps after the best checkpoint are "
            "not in the weights",
        )


def _print_line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def _print_json(fields: dict[str, Any], key: str, table: pa.Table) -> None:
    """Print an object whose last field is the rows of a table."""
    click.echo(f'{_dump(fields)[:-1]}, "{key}": {_dump_rows(table)}}}')


def _print_json_runs(name: str, uid: str, origin: str, runs: list[RunReads]) -> None:
    entries = []
    for entry in runs:
        fields = {"run": entry.run, "corpus": entry.corpus, "in_corpus": entry.is_in_corpus}
        entries.append(f'{_dump(fields)[:-1]}, "reads": {_dump_rows(entry.reads)}}}')
    head = _dump({"run": name, "item": uid, "unknown_start": origin})
    joined = ",\n".join(entries)
    click.echo(f'{head[:-1]}, "runs": [\n{joined}]}}')


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _dump_rows(table: pa.Table) -> str:
    """Return the rows as JSON, a row per line; `indent` of the module json is ten times slower."""
    rows = ",\n".join(map(_dump, table.to_pylist()))
    return f"[\n{rows}\n]"
