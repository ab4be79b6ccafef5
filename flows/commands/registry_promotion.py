"""`flanmoe registry promote|evaluate`: decide about a version, and evaluate it again."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    json_option,
    load_workspace,
    model_option,
    open_registry,
    print_json,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flows.config.schema import Params
    from registry.gates.result import GateResult
    from registry.promotion import PromotionDecision, PromotionReport
    from registry.store import Registry
    from registry.verdicts import Verdict
    from registry.versions import VersionInfo

EXIT_CODES = {"promoted": 0, "unchanged": 3, "refused": 4, "needs evaluation": 4}
"""Exit code of each outcome."""


@click.command()
@click.argument("version", type=int)
@model_option
@click.option(
    "--override",
    default="",
    metavar="REASON",
    help="Promote even if gates fail; the reason is recorded. Only for people whom the policy "
    "lists by name, and never for a missing or damaged artifact.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show every gate and the outcome, and change nothing."
)
@json_option
def promote(model: str | None, version: int, override: str, dry_run: bool, as_json: bool) -> None:
    """Make VERSION the champion if it passes every gate.

    If the champion was evaluated on other items, it is evaluated on the present ones first. Exit
    codes: 0 promoted, 3 unchanged, 4 refused.
    """
    from registry.errors import NotPromoted

    root, params = load_workspace()
    store = open_registry(root, params)
    name = model or params.registry.model
    if dry_run:
        report = store.preview(name, version, override=override)
    else:
        try:
            report = _promote(store, name, version, override, params, root)
        except NotPromoted as error:
            report = error.report
    if as_json:
        content = {"model": name, **report.to_dict(), "dry_run": dry_run}
        print_json(content)
    else:
        _print_report(store, name, report, dry_run)
    sys.exit(EXIT_CODES[report.outcome])


@click.command()
@click.argument("version", type=int)
@model_option
@json_option
def evaluate(model: str | None, version: int, as_json: bool) -> None:
    """Evaluate the stored weights of VERSION on the present evaluation data.

    The result is a further evaluation of VERSION, which counts from now on. `promote` and `run` do
    this where the champion and its challenger were evaluated on different items.
    """
    root, params = load_workspace()
    store = open_registry(root, params)
    name = model or params.registry.model
    info = _evaluate(store, name, params, root, version)
    if as_json:
        print_json(info.to_full_dict())
        return
    evaluation = info.evaluation
    click.echo(
        f"version {version} of {name!r}: {100 * evaluation.accuracy:.1f} ± "
        f"{100 * evaluation.standard_error:.1f} % on {evaluation.num_items:,} items "
        f"(evaluation {info.num_evaluations})"
    )


def decision_lines(decision: PromotionDecision) -> list[str]:
    """Return the outcome of a run's promotion, and a line for each version that was considered."""
    if len(decision.reports) < 2:
        return [f"promotion: {decision.outcome}: {decision.reason}"]
    champion = decision.champion_version
    result = "there is no champion" if champion is None else f"version {champion} is champion"
    return [
        f"promotion: {decision.outcome}: {result}",
        *(f"  version {r.version} {r.outcome}: {r.reason}" for r in decision.reports),
    ]


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return the last verdict about a version, with every gate."""
    opponent = "" if verdict.champion is None else f", compared with version {verdict.champion}"
    policy = f", policy {verdict.policy_sha256[:12]}" if verdict.policy_sha256 else ""
    head = (
        f"gates of {verdict.at:%Y-%m-%d %H:%M:%S} by {verdict.actor}{opponent}{policy}: "
        f"{verdict.outcome}"
    )
    return [head, *_gate_lines(verdict.gates)]


def _gate_lines(gates: Iterable[GateResult]) -> Iterator[str]:
    for gate in gates:
        yield f"  {'passed' if gate.passed else 'FAILED'}  {gate.name}: {gate.detail}"


def _print_report(store: Registry, model: str, report: PromotionReport, dry_run: bool) -> None:
    from registry.policy_file import load_policy

    assert store.policy_path is not None  # `Registry.open` sets it
    policy = load_policy(store.policy_path)
    digest = policy.for_model(model).sha256[:12]
    print(f"promotion policy: {policy.describe()} (sha256 {digest})")
    for line in _gate_lines(report.gates):
        print(line)
    verb = {
        "promoted": "would become champion" if dry_run else "is champion",
        "unchanged": "would change nothing" if dry_run else "changes nothing",
        "refused": "would be refused" if dry_run else "is refused",
        "needs evaluation": "needs an evaluation of version "
        + ", ".join(str(number) for number in report.other_items)
        + " first, which promote does"
        if dry_run
        else "cannot be compared",
    }[report.outcome]
    print(f"version {report.version} of {model!r} {verb}: {report.reason}")
    if dry_run:
        print("dry run: nothing was changed")


def _promote(
    store: Registry, model: str, version: int, override: str, params: Params, root: Path
) -> PromotionReport:
    from flows.runtime.promotion_evaluation import promote_after_evaluation

    decide = partial(store.promote, model, version, actor=getpass.getuser(), override=override)
    return promote_after_evaluation(decide, version, partial(_evaluate, store, model, params, root))


def _evaluate(store: Registry, model: str, params: Params, root: Path, version: int) -> VersionInfo:
    from flows.runtime.processes import ProcessGroups, stop_on_signal
    from flows.runtime.version_evaluation import evaluate_version

    processes = ProcessGroups()
    click.echo(f"evaluating version {version} of {model!r} on the present data …", err=True)
    with stop_on_signal(processes):
        return evaluate_version(store, model, version, params.models.evaluation, root, processes)
