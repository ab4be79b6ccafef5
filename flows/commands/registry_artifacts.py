"""`flanmoe registry register|verify|gc`: the files of versions."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    FOLDER,
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)
from flows.commands.tables import format_bytes

if TYPE_CHECKING:
    from registry.store import Registry
    from registry.verification import VersionFault

EXIT_FAULTS = 3
"""Exit code of `verify` if it finds a fault."""


@click.command(short_help="Register the finished run in FOLDER.")
@click.argument("folder", type=FOLDER)
@model_option
@json_option
def register(folder: Path, model: str | None, as_json: bool) -> None:
    """Register the finished run in FOLDER, which may come from anywhere.

    FOLDER has run.json, evaluation.json, samples.parquet and weights/. Checksums are verified, and
    the scores recomputed from the samples. If the run is registered already, its stored files are
    verified, and missing or damaged ones are stored again.
    """
    from flows.runtime.workspace import project_of
    from registry.intake import check_scores, find_tokenizer, read_submission

    root, params = load_workspace()
    project = project_of(root)
    tokenizer, workspace = find_tokenizer(folder, project), folder.resolve().parent.parent
    submission = read_submission(folder, tokenizer, workspace=workspace)
    check_scores(submission)
    store = open_registry(root, params, create=True)
    name = model or params.registry.model
    last_number = _last_number(store, name)
    version = store.register(name, submission, check_files=True)
    is_new = version.version > last_number
    if as_json:
        print(json.dumps({"model": name, "version": version.version, "is_new": is_new}))
    elif is_new:
        click.echo(f"{folder} is version {version.version} of {name!r}")
    else:
        click.echo(
            f"{folder} is version {version.version} of {name!r} already; its stored files are "
            "complete"
        )


def _last_number(store: Registry, model: str) -> int:
    """Return the number of a model's newest version; 0 without one."""
    from registry.errors import UnknownVersion
    from registry.query.search import VersionQuery

    try:
        versions = store.search(VersionQuery(model=model, limit=1)).versions
    except UnknownVersion:
        return 0
    return max((version.version for version in versions), default=0)


@click.command(short_help="Verify files and records of all versions.")
@click.option("--model", help="Verify the versions of this model only.")
@json_option
def verify(model: str | None, as_json: bool) -> None:
    """Recompute the checksum of every stored file and the scores of every record.

    Prints one line for each fault on stdout, and records their number in the history of each
    model. Exits with 0 if there is none, with 3 if there are faults, and with 1 if the registry or
    its artifact store cannot be read.
    """
    root, params = load_workspace()
    store = open_registry(root, params)
    num_versions = 0
    faults: list[VersionFault] = []
    for version in store.verify(model, actor=getpass.getuser()):
        num_versions += 1
        faults += version.faults
        for entry in () if as_json else version.faults:
            click.echo(f"{entry.model} v{entry.version}: {entry.fault}")
    if as_json:
        shown = [entry.to_dict() for entry in faults]
        print_json({"versions": num_versions, "faults": shown})
    elif not faults:
        click.echo(f"{num_versions} versions verified, no fault")
    if faults:
        sys.exit(EXIT_FAULTS)


@click.command(short_help="Remove the weights of old versions.")
@click.option(
    "--keep",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="Newest versions of each model whose weights stay.",
)
@click.option(
    "--older-than",
    "older_than_days",
    default=30.0,
    show_default=True,
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="Age from which weights are removed.",
)
@click.option(
    "--champions",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="Last champions of each model whose weights stay, for a rollback.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be removed.")
@json_option
def gc(keep: int, older_than_days: float, champions: int, dry_run: bool, as_json: bool) -> None:
    """Remove the weights and tokenizers of old versions from the artifact store.

    A champion, a pinned version and one with an alias keep theirs, and so do the versions that the
    options name. Records and samples always stay: comparisons need no weights. `registry register
    FOLDER` restores what was removed. Also removes what interrupted registrations stored, a day
    later.
    """
    from registry.retention import RetentionRules

    root, params = load_workspace()
    store = open_registry(root, params)
    rules = RetentionRules(keep=keep, older_than_days=older_than_days, champions=champions)
    report = store.collect_garbage(rules, actor=getpass.getuser(), dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, **report.to_dict()})
        return
    verb = "would be removed" if dry_run else "removed"
    for version in report.versions:
        click.echo(
            f"{version.model} v{version.version} ({version.name}): weights and tokenizer {verb}, "
            f"{format_bytes(version.num_bytes)}"
        )
    if report.num_unreferenced:
        click.echo(f"{report.num_unreferenced} files without a version {verb}")
    click.echo(f"{format_bytes(report.num_bytes)} {'to free' if dry_run else 'freed'}")


ARTIFACT_COMMANDS = (register, verify, gc)
