"""`flanmoe study run|report|list`: questions as files, their runs and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import FOLDER, json_option, print_json
from flows.commands.tables import format_count, format_flops, plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table

    from flows.study.estimate import StudyEstimate
    from flows.study.expansion import StudyPlan, StudyScale

budget_option = click.option(
    "--budget",
    "budget_minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Scale the study down to this time: fewer steps, then fewer seeds, at least 2; models, "
    "arms and claims stay. Such a study has workspaces of its own.",
)


@click.group()
def study() -> None:
    """Answer a question by the runs of a study, `studies/NAME.yaml`."""


@study.command("run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Show runs, compute and time; train nothing.")
@budget_option
def run_command(name: str, dry_run: bool, budget_minutes: float | None) -> None:
    """Train and evaluate every run of the study NAME in a workspace of its own.

    Runs that have finished are not trained again: call it again to resume, or after a failure.
    Nothing is registered or promoted.
    """
    from flows.runtime.workspace import find_project, project_of
    from flows.study.estimate import estimate_study
    from flows.study.execution import run_study

    project = project_of(find_project())
    plan, scale = _plan(project, name, budget_minutes)
    console = wide_console()
    console.print(_models_table(plan))
    console.print()
    estimate = estimate_study(project, plan)
    console.print(_runs_table(plan, estimate))
    for line in (*scale_lines(scale), *_estimate_lines(estimate)):
        console.print(line, highlight=False, soft_wrap=True)
    if dry_run:
        return
    console.print()
    run_study(project, plan, console)
    console.print(f"flanmoe study report {name}{_budget_words(budget_minutes)}", highlight=False)


@study.command("report")
@click.argument("name")
@budget_option
@click.option(
    "--output",
    type=FOLDER,
    help="Folder of NAME.html, NAME.md and NAME.json. Default: studies/results of the project.",
)
@json_option
def report_command(
    name: str, budget_minutes: float | None, output: Path | None, as_json: bool
) -> None:
    """Judge the claims of the study NAME by its finished runs, and write the report.

    Missing runs are named with the reason; a claim is judged by the seeds that all its runs have.
    """
    from flows.runtime.workspace import find_project, project_of
    from flows.study.report.write import write_report
    from flows.study.results import collect_results, results_to_dict

    project = project_of(find_project())
    plan, scale = _plan(project, name, budget_minutes)
    command = f"flanmoe study run {name}{_budget_words(budget_minutes)}"
    note = " ".join(scale_lines(scale))
    results = results_to_dict(plan, collect_results(plan), command, note)
    if as_json:
        print_json(results)
        return
    folder = output or project / "studies" / "results"
    for path in write_report(results, folder):
        click.echo(str(path))
    for variant in results["variants"]:
        for claim in variant["claims"]:
            where = f"{variant['variant']}: " if variant["variant"] else ""
            click.echo(f"{where}{claim['verdict']}: {claim['statement']}")
        for missing in variant["missing"]:
            click.echo(f"missing: {missing['run']}: {missing['reason']}", err=True)


@study.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the studies of the project with their questions."""
    from flows.runtime.workspace import find_project, project_of
    from flows.study.load import list_studies, load_study

    project = project_of(find_project())
    question_by_name = {name: load_study(project, name).question for name in list_studies(project)}
    if as_json:
        print_json(question_by_name)
        return
    table = plain_table(["study", "question"])
    for name, question in question_by_name.items():
        table.add_row(name, question)
    wide_console().print(table)


def scale_lines(scale: StudyScale) -> list[str]:
    """Say how a study was scaled down; nothing if it was not."""
    lines = []
    if scale.step_factor < 1:
        lines.append(
            f"Scaled to the budget: {100 * scale.step_factor:g} % of the steps of the file."
        )
    if scale.num_seeds is not None:
        lines.append(f"Scaled to the budget: the first {scale.num_seeds} seeds of the file.")
    return lines


def _plan(project: Path, name: str, budget_minutes: float | None) -> tuple[StudyPlan, StudyScale]:
    from flows.study.budget import plan_with_budget
    from flows.study.expansion import StudyScale, plan_study

    if budget_minutes is None:
        return plan_study(project, name), StudyScale()
    return plan_with_budget(project, name, budget_minutes)


def _budget_words(minutes: float | None) -> str:
    return "" if minutes is None else f" --budget {minutes:g}"


def _models_table(plan: StudyPlan) -> Table:
    table = plain_table(
        ["model", "preset", ">total params", ">active params", ">FLOPs/token", "matches"]
    )
    for name, model in plan.models.items():
        values = model.to_dict()
        ratio = model.flops_ratio
        table.add_row(
            name,
            model.describe(),
            format_count(values["total_parameters"]),
            format_count(values["active_parameters"]),
            format_count(model.flops_per_token),
            "" if ratio is None else f"{model.matches} x {ratio:.3f}",
        )
    return table


def _runs_table(plan: StudyPlan, estimate: StudyEstimate) -> Table:
    runs = plan.workspaces[0].params.models.runs
    table = plain_table(["run", "start", ">steps", ">FLOPs", ">time", "speed"])
    for run in estimate.runs:
        table.add_row(
            run.run,
            runs[run.run].start,
            f"{runs[run.run].steps:,}",
            format_flops(run.flops),
            f"{run.training_seconds:,.0f} s",
            "earlier trainings" if run.is_measured else "a few steps, measured now",
        )
    return table


def _estimate_lines(estimate: StudyEstimate) -> list[str]:
    variants = f" x {estimate.num_variants} variants" if estimate.num_variants > 1 else ""
    evaluation = (
        "evaluations not included, as none has run here"
        if estimate.evaluation_seconds is None
        else f"with {estimate.fixed_seconds / 60:.0f} for evaluations and starts of processes"
    )
    return [
        f"{len(estimate.runs)} runs x {estimate.num_seeds} seeds{variants}: "
        f"{estimate.num_trainings} trainings, {format_flops(estimate.flops)}.",
        f"Expected: {estimate.total_seconds / 60:.0f} minutes with {estimate.num_parallel} stages "
        f"at a time, {evaluation}; the data stages come on top.",
    ]
