"""`flanmoe compare A B`: the paired comparison, as a table or as JSON."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    open_registry,
    print_json,
    workspace_option,
)
from flows.commands.replicates import find_replicates, present_replicates
from flows.commands.tables import format_count, plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table

    from registry.comparison.compare import Comparison, SuiteComparison, TaskComparison
    from registry.comparison.results import EvaluationResult
    from registry.comparison.verdicts import PairedOutcome

_VERSIONS = re.compile(r"v\d+(,v\d+)*")
_STYLES = {"better": "green", "worse": "red", "undecided": "yellow"}


@click.command(short_help="Compare two models item by item.")
@click.argument("a")
@click.argument("b")
@click.option("--suite", "suites", multiple=True, metavar="SUITE", help="Compare this suite only.")
@click.option(
    "--margin",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Non-inferiority margin in points: A counts as not worse if it loses by less.",
)
@click.option("--clean", is_flag=True, help="Exclude items that overlap with a training mixture.")
@click.option(
    "--sequential",
    is_flag=True,
    help="Also show after how many items in random order the verdict on each suite was clear.",
)
@workspace_option
@json_option
def compare(
    a: str,
    b: str,
    suites: tuple[str, ...],
    margin: float,
    clean: bool,
    sequential: bool,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Compare A with B on the items that both answered: paired tests, and the cost of each.

    The cost of training includes the runs that a model starts from. An MoE and a dense model with
    the same data, tasks, steps, seed and start chain are partners; otherwise the differences are
    listed.

    A and B are runs with all their seeds, one seed of a run (moe_base-1), registered versions (v3,
    or v3,v5,v7 for the seeds of a model), or folders with the files of a run. Fails if the
    evaluations used different prompts or items.
    """
    from flows.runtime.workspace import find_project
    from registry.comparison import compare as comparison

    root = workspace.resolve() if workspace else find_project()
    results_a, results_b = (read_results(name, _result_folders(name, root)) for name in (a, b))
    config = comparison.ComparisonConfig(
        suites=suites, margin=margin / 100, clean=clean, sequential=sequential
    )
    compared = comparison.compare(results_a, results_b, config)
    if as_json:
        print_json(compared.to_dict())
        return
    console = wide_console()
    console.print(_costs_table(compared))
    console.print(_recipe(compared), highlight=False)
    console.print()
    console.print(_scores_table("suite", compared.suites, compared))
    console.print()
    if sequential:
        console.print(_sequential_table(compared))
        console.print()
    console.print(_scores_table("task", compared.tasks, compared))
    console.print(_legend(compared), highlight=False)
    for warning in compared.warnings:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False, soft_wrap=True)


def read_results(name: str, folder_by_label: Mapping[str, Path]) -> list[EvaluationResult]:
    """Read the evaluations of a run, one for each seed.

    Seeds of the same weights count once: imported weights that were not trained have no seed.

    Args:
        name: what the user calls the run.
        folder_by_label: folders of the results, by the labels of the seeds.
    """
    from registry.comparison.results import read_result

    result_by_weights: dict[str, EvaluationResult] = {}
    for label, folder in folder_by_label.items():
        result = read_result(label, folder)
        result_by_weights.setdefault(result.run.weights_sha256, result)
    results = list(result_by_weights.values())
    return results if len(results) > 1 else [dataclasses.replace(results[0], label=name)]


def _result_folders(name: str, root: Path) -> dict[str, Path]:
    """Return the folders of a run's seeds, of a registered version, or below `name` itself."""
    from data_pipelines.suggestions import did_you_mean
    from models.errors import UnknownModel

    replicates = find_replicates(name, root)
    if replicates:
        return {replicate.label: root / replicate.folder for replicate in replicates}
    if _VERSIONS.fullmatch(name):
        _, params = load_workspace(root)
        registry = open_registry(root, params)
        return {
            label: registry.evidence_folder(
                registry.show(params.registry.model, int(label.removeprefix("v")))
            )
            for label in name.split(",")
        }
    folder = Path(name)
    if folder.is_dir():
        seeds = sorted(path.parent for path in folder.glob("seed_*/run.json"))
        return {str(path): path for path in seeds} or {name: folder}
    runs = sorted({replicate.run for replicate in present_replicates(root)})
    raise UnknownModel(
        f"{name!r} is not a run of {root}, a seed of a run (such as moe_base-1), a registered "
        f"version (such as v3) or a folder; {did_you_mean(name, runs)}runs: "
        f"{', '.join(runs) or 'none'}"
    )


def _costs_table(compared: Comparison) -> Table:
    table = plain_table(["FLOPs", f">{compared.a.label}", f">{compared.b.label}", ">ratio"])
    for name, cost in compared.costs.items():
        ratio = "" if cost.ratio is None else f"{cost.ratio:.3f}"
        values = ("unknown" if v is None else format_count(v) for v in (cost.a, cost.b))
        table.add_row(name.replace("_", " "), *values, ratio)
    return table


def _recipe(compared: Comparison) -> str:
    """Say whether the models differ in more than their architecture."""
    a, b, differences = compared.a, compared.b, compared.recipe_differences
    is_pair = a.is_moe != b.is_moe
    if not differences:
        partners = f"{a.label} and {b.label} are partners" if is_pair else "same recipe"
        return f"{partners}: the same data, tasks, steps, seed and start chain"
    kind = "no partner" if is_pair else "other recipe"
    return f"{kind}: " + "; ".join(differences)


def _scores_table(
    title: str, rows: Sequence[TaskComparison | SuiteComparison], compared: Comparison
) -> Table:
    table = plain_table(
        [
            title,
            ">items",
            f">{compared.a.label}",
            f">{compared.b.label}",
            ">difference",
            f">{100 * (1 - compared.config.alpha):.0f} % interval",
            ">p, corrected",
            "verdict",
        ]
    )
    for row in rows:
        outcome = row.outcome
        style = _STYLES.get(outcome.verdict, "default")
        table.add_row(
            row.title,
            str(row.num_items),
            f"{100 * row.score_a:.1f} %",
            f"{100 * row.score_b:.1f} %",
            f"{100 * outcome.difference:+.1f}",
            f"{100 * outcome.low:+.1f} … {100 * outcome.high:+.1f}",
            f"{outcome.p_corrected:.2g}",
            f"[{style}]{outcome.verdict}[/]" + _what_would_decide(outcome),
        )
    return table


def _sequential_table(compared: Comparison) -> Table:
    """Show after how many items the verdict was clear, with the interval at that moment."""
    table = plain_table(
        ["suite, sequential", ">items used", ">of", "interval then", "verdict", "clear after"]
    )
    for row in compared.suites:
        outcome = row.sequential
        if outcome is None:
            continue
        clear = {
            "better": outcome.better_after,
            "worse": outcome.worse_after,
            "not worse": outcome.not_worse_after,
        }
        style = _STYLES.get(outcome.verdict, "default")
        table.add_row(
            row.title,
            f"{outcome.num_items_used:,}",
            f"{outcome.num_items:,}",
            f"{100 * outcome.low:+.1f} … {100 * outcome.high:+.1f}",
            f"[{style}]{outcome.verdict}[/]",
            ", ".join(f"{name}: {number:,}" for name, number in clear.items() if number),
        )
    return table


def _what_would_decide(outcome: PairedOutcome) -> str:
    """Return the items that an undecided difference needs, or the difference that is decidable."""
    if outcome.num_items_needed:
        return f", needs {outcome.num_items_needed:,} items"
    if outcome.decidable_difference is None or outcome.decidable_difference > 1:
        return ""
    return f", decides {100 * outcome.decidable_difference:.1f} points"


def _legend(compared: Comparison) -> str:
    clean = " Items that overlap with a training mixture are excluded."
    suites = "; ".join(f"{row.suite}: {row.outcome.basis}" for row in compared.suites)
    margin = f"{100 * compared.config.margin:.12g}"
    return (
        f"\n{compared.a.label} minus {compared.b.label}, in points. Intervals from {suites}.\n"
        "Tests are paired: exact McNemar for right and wrong answers, permutation for graded "
        "scores and averages,\nStudent's t for clusters and seeds, corrected for multiple "
        f"comparisons (Holm).\nNot worse: worse by less than {margin} points. Undecided: the "
        "number of items that decides a difference like this\none, or the difference that is "
        "decided, with a power of 80 %." + (clean if compared.config.clean else "")
    )
