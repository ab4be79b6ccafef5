"""`flanmoe registry list|history`: pages of versions and of changes, as tables or JSON."""

from __future__ import annotations

import click

from flows.commands.options import json_option, load_workspace, open_registry, print_json
from flows.commands.tables import add_plain_row, plain_table, versions_table, wide_console


@click.command("list", short_help="List and search registered versions.")
@click.option("--model", help="List versions of this model only.")
@click.option(
    "--where",
    default="",
    metavar="CONDITION",
    help='List versions that match, e.g. "suite.mmlu > 30 and gflops_per_token < 2".',
)
@click.option(
    "--search",
    "text",
    default="",
    metavar="TEXT",
    help="List versions whose names, aliases, descriptions, tags or notes contain TEXT.",
)
@click.option(
    "--sort",
    default="",
    metavar="FIELD",
    help="Sort by a field, scores by the lower end of their interval; -FIELD reverses. "
    "Default: newest first.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--offset", default=0, type=click.IntRange(min=0), help="Skip this many of the first versions."
)
@json_option
def list_versions(
    model: str | None, where: str, text: str, sort: str, limit: int, offset: int, as_json: bool
) -> None:
    """List registered versions, the newest first.

    \b
    A condition compares fields with values, joined by and, or, not and parentheses:
      moe and total_parameters < 1e9          state = 'rejected' or pinned
      name in ('a', 'b') and name ~ 'part'    tag.stage != 'demo' and created > '2026-05-31'

    A score (score, suite.NAME, task.NAME, in percent) is an interval: `>` compares the lower end of
    its 95 % interval and `<` the upper end. score.NAME is the number alone.
    """
    from registry.query.search import VersionQuery

    root, params = load_workspace()
    query = VersionQuery(where=where, text=text, sort=sort, model=model, limit=limit, offset=offset)
    page = open_registry(root, params).search(query)
    num_more = max(0, page.num_matches - offset - len(page.versions))
    if num_more:
        click.echo(
            f"{num_more:,} more: --limit N lists more at once, --offset {offset + limit} "
            "the next ones",
            err=True,
        )
    if as_json:
        print_json([version.to_dict() for version in page.versions])
        return
    if not page.versions:
        is_filtered = where.strip() or text.strip() or offset
        click.echo(
            "no version matches"
            if is_filtered
            else "no version is registered yet; `flanmoe run` registers the first"
        )
    console = wide_console()
    for name in dict.fromkeys(version.model for version in page.versions):
        console.print(name, style="bold", markup=False, highlight=False)
        console.print(versions_table([v for v in page.versions if v.model == name]))


@click.command()
@click.option("--model", help="List changes of this model's versions only.")
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(min=1),
    help="List the last changes only.",
)
@json_option
def history(model: str | None, limit: int, as_json: bool) -> None:
    """List changes, with actor and reason, in the order in which they were made."""
    root, params = load_workspace()
    store = open_registry(root, params)
    if model is not None:
        store.require_model(model)
    entries = store.history(model, limit=limit + 1)
    if len(entries) > limit:
        entries = entries[1:]
        click.echo(f"the last {limit} changes: --limit N lists more", err=True)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    table = plain_table(["time", "model", "version", "run", "change", "actor", "reason"])
    for entry in entries:
        add_plain_row(
            table,
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.model,
            "" if entry.version is None else str(entry.version),
            entry.name,
            entry.kind.value,
            entry.actor,
            entry.reason,
        )
    wide_console().print(table)
