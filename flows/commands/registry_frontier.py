"""`flanmoe registry frontier|summary`: scores against costs, and what to decide from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)
from flows.commands.tables import add_plain_row, plain_table, wide_console

if TYPE_CHECKING:
    from rich.console import Console

    from registry.comparison.frontier import Frontier
    from registry.store import Registry
    from registry.summary import ModelSummary

_items_option = click.option(
    "--items",
    default="",
    metavar="DIGEST",
    help="Compare versions that answered these items. Default: the champion's items, without a "
    "champion those of the newest complete evaluation.",
)
_baseline_option = click.option(
    "--baseline",
    type=int,
    metavar="VERSION",
    help="Compare each model with this version. Default: the champion.",
)
_NO_VERSION = "no version to show; `flanmoe run` trains, evaluates and registers versions"


def _open(model: str | None) -> tuple[Registry, str]:
    """Return the registry and the model of `--model`, which is registered if it was used."""
    root, params = load_workspace()
    store = open_registry(root, params)
    if model is not None:
        store.require_model(model)
    return store, model or params.registry.model


@click.command(short_help="Show the Pareto frontier of accuracy and cost.")
@click.option(
    "--cost",
    default="token",
    show_default=True,
    help="Cost axis: token or item (FLOPs of each), time (measured, per item), memory "
    "(parameters), training (FLOPs, those of the runs it starts from included).",
)
@click.option(
    "--score",
    default="score",
    show_default=True,
    help="Score axis: score (mean of all suites), normalised, suite.NAME or group.SUITE/NAME.",
)
@_items_option
@_baseline_option
@model_option
@json_option
def frontier(
    model: str | None, cost: str, score: str, items: str, baseline: int | None, as_json: bool
) -> None:
    """Show the Pareto frontier of accuracy and cost.

    It contains the newest version of each run and the champion. For each MoE version it also shows
    its dense partner: the dense version of the same recipe, i.e. the same data, tasks, steps, seeds
    and start chain. Versions that differ in their seed only are one model.
    """
    store, name = _open(model)
    pareto = store.frontier(name, cost, score=score, items_digest=items, baseline=baseline)
    if as_json:
        print_json(pareto.to_dict())
        return
    console = wide_console()
    for excluded in pareto.excluded:
        console.print(
            f"{excluded.name} v{excluded.version} is excluded: {excluded.reason}",
            highlight=False,
            markup=False,
        )
    if not pareto.points:
        console.print(_NO_VERSION)
        return
    _print_points(console, pareto)
    for pair in pareto.dense_partners:
        cost_text = "equal cost" if pair.equal_cost else f"{pair.cost_ratio:.2f} × its cost"
        console.print(
            f"{pair.moe} v{pair.moe_version} against its dense partner {pair.dense} "
            f"v{pair.dense_version} ({cost_text}): "
            f"{100 * pair.difference:+.1f} points, 95 % interval {100 * pair.low:+.1f} … "
            f"{100 * pair.high:+.1f} ({pair.basis})",
            highlight=False,
            markup=False,
        )
    _print_without_partner(console, pareto)


def _print_points(console: Console, pareto: Frontier) -> None:
    table = plain_table(
        [">version", "model", f">{pareto.unit}", f">{pareto.score}", ">against the baseline",
         ">tie group", ">on the frontier", ">probability"]
    )  # fmt: skip
    for point in pareto.points:
        other = point.against_baseline
        add_plain_row(
            table,
            str(point.version),
            ("★ " if point.is_champion else "")
            + f"{point.name} ({point.kind}"
            + (f", {point.num_seeds} seeds)" if point.num_seeds > 1 else ")"),
            f"{point.cost:.4g}",
            f"{100 * point.accuracy:.1f} ± {100 * point.standard_error:.1f} %"
            + (" partial" if point.partial else ""),
            f"{100 * other.difference:+.1f} ({100 * other.low:+.1f} … {100 * other.high:+.1f})"
            if other
            else "",
            str(point.tie_group),
            "yes" if point.on_frontier else "",
            f"{100 * point.probability:.0f} %",
        )
    console.print(table)


def _print_without_partner(console: Console, pareto: Frontier) -> None:
    for moe in pareto.without_partner:
        console.print(
            f"{moe}: no partner; no dense version above has its data, tasks, steps, seed and start "
            "chain",
            highlight=False,
            markup=False,
        )


@click.command(short_help="Show what to decide from.")
@_items_option
@_baseline_option
@click.option(
    "--days",
    default=7,
    show_default=True,
    type=click.IntRange(1, 3650),
    help="Show the changes of the last days.",
)
@model_option
@json_option
def summary(model: str | None, items: str, baseline: int | None, days: int, as_json: bool) -> None:
    """Show what to decide from: is sparse worth it, and which version to promote.

    A sentence for each MoE model and its dense partner, the groups of models that no test tells
    apart, champion and challengers with the gates that they fail, and the last changes. The page
    Decision of the dashboard shows the same.
    """
    store, name = _open(model)
    state = store.summary(name, items_digest=items, baseline=baseline, period=timedelta(days=days))
    if as_json:
        print_json(state.to_dict())
        return
    console = wide_console()
    if not state.frontier.points:
        console.print(_NO_VERSION)
        return
    lines = [pair.sentence for pair in state.pairs]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    _print_without_partner(console, state.frontier)
    console.print()
    _print_judged(console, state)
    console.print(f"\nchanges of the last {days} days: {len(state.changes)}", highlight=False)


def _print_judged(console: Console, state: ModelSummary) -> None:
    table = plain_table([">version", "model", ">accuracy", ">tie group", "gates", "failed"])
    for judged in state.judged:
        point, verdict = judged.point, judged.verdict
        add_plain_row(
            table,
            str(point.version),
            ("★ " if point.is_champion else "") + point.name,
            f"{100 * point.accuracy:.1f} ± {100 * point.standard_error:.1f} %",
            str(point.tie_group),
            verdict.outcome if verdict else "not asked",
            ", ".join(judged.failed_gates),
        )
    console.print(table)
