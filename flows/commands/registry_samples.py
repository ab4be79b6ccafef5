"""`flanmoe registry samples A B`: which items does A get right and B wrong?"""

from __future__ import annotations

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)
from flows.commands.tables import printable, wide_console

_RIGHT = {"a": "ONLY_A", "b": "ONLY_B", "both": "BOTH", "neither": "NEITHER"}
_YES_NO = {"yes": True, "no": False}


@click.command(short_help="Show the answers of two versions side by side.")
@click.argument("a", type=int)
@click.argument("b", type=int)
@click.option("--task", default="", help="Show items of this task only.")
@click.option(
    "--right",
    type=click.Choice([*_RIGHT]),
    help="Show items that only A, only B, both or neither answers right.",
)
@click.option(
    "--contaminated",
    type=click.Choice([*_YES_NO]),
    help="Show items that overlap with a training mixture of A or B, or those that do not.",
)
@click.option(
    "--truncated",
    type=click.Choice([*_YES_NO]),
    help="Show items whose prompt was cut for A or B, or those whose prompt was not.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200))
@click.option("--offset", default=0, type=click.IntRange(min=0), help="Skip this many items.")
@model_option
@json_option
def samples(
    a: int,
    b: int,
    task: str,
    right: str | None,
    contaminated: str | None,
    truncated: str | None,
    limit: int,
    offset: int,
    model: str | None,
    as_json: bool,
) -> None:
    """Show the answers of versions A and B to the same items, with prompt and expected answer."""
    from registry.comparison.sample_pairs import PairOfAnswers, SampleFilter

    root, params = load_workspace()
    criteria = SampleFilter(
        task=task,
        right=None if right is None else PairOfAnswers[_RIGHT[right]],
        contaminated=None if contaminated is None else _YES_NO[contaminated],
        truncated=None if truncated is None else _YES_NO[truncated],
        offset=offset,
        limit=limit,
    )
    store = open_registry(root, params)
    page = store.samples(model or params.registry.model, a, b, criteria)
    if as_json:
        print_json(page.to_dict())
        return
    console = wide_console()
    counts = ", ".join(f"{kind}: {count:,}" for kind, count in page.counts.items())
    lines = [counts, f"{page.num_matches:,} items match"]
    for pair in page.pairs:
        lines += [
            "",
            f"{pair.task} {pair.id} ({pair.right.value})",
            f"  prompt    {pair.prompt}",
            f"  expected  {pair.expected}",
            f"  v{a}  {pair.a.score:g}  {pair.a.answer}",
            f"  v{b}  {pair.b.score:g}  {pair.b.answer}",
        ]
    for line in lines:
        console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
