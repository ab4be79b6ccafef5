"""The report of a registered version: the numbers of the dashboard's pages as parts of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.study.report.blocks import (
    Block,
    BulletList,
    Chart,
    ChartValue,
    DataTable,
    Heading,
    Paragraph,
)
from registry.comparison.frontier import Frontier
from registry.history import HistoryEntry
from registry.store import Registry
from registry.summary import ModelSummary
from registry.verdicts import Verdict
from registry.versions import VersionInfo

MAX_ROWS = 2_000
"""Longest table, so that a report stays below 2 MB."""
MAX_CELL = 300


def report_version(registry: Registry, model: str, number: int) -> list[Block]:
    """Return the parts of the report of a version.

    Args:
        registry: the registry.
        model: the registered model.
        number: the version.

    Raises:
        UnknownVersion: the version does not exist.
        InvalidPolicy: the policy file has errors.
    """
    version = registry.show(model, number)
    summary = registry.summary(model, items_digest=version.items_digest)
    verdicts = registry.verdicts(model, number)
    history = [entry for entry in registry.history(model) if entry.version == number]
    title = f"{version.name} v{version.version} of {version.model}"
    return [
        Heading(text=title, level=1),
        Paragraph(text=_overview(version)),
        *_decision(summary, version),
        *_scores(version),
        *_frontier(summary.frontier),
        *_gates(verdicts[-1] if verdicts else None),
        *_lineage(version),
        *_history(history),
    ]


def _overview(version: VersionInfo) -> str:
    run, scores = version.run_record, version.evaluation
    cumulative = run.cumulative_training_flops
    training = "unknown" if cumulative is None else f"{cumulative / 1e12:.4g} TFLOPs"
    return (
        f"{version.standing}, {version.kind}, seed {version.seed}: accuracy "
        f"{_score(scores.accuracy, scores.standard_error)} on {scores.num_items:,} items"
        f"{' (partial)' if scores.partial else ''}, chance {100 * scores.random_score:.1f} %, "
        f"normalised {scores.normalised:.1f}; {run.flops_per_token / 1e9:.4g} GFLOPs per token, "
        f"{run.total_parameters:,} parameters, training with the runs before {training}. "
        f"Registered {version.created_at:%Y-%m-%d %H:%M} UTC, commit {run.git_commit}, data "
        f"{run.data_version}. {version.description}"
    )


def _decision(summary: ModelSummary, version: VersionInfo) -> Iterator[Block]:
    frontier = summary.frontier
    point = next((p for p in frontier.points if version.version in p.versions), None)
    if point is None:
        return
    lines = [
        pair.sentence
        for pair in summary.pairs
        if point.version in (pair.partner.moe_version, pair.partner.dense_version)
    ]
    other = point.against_baseline
    if other is not None:
        lines.append(
            f"against v{frontier.baseline}, the champion: {100 * other.difference:+.1f} points "
            f"({100 * other.low:+.1f} … {100 * other.high:+.1f}; {other.basis})"
        )
    lines.append(
        f"tie group {point.tie_group}; on the Pareto frontier with a probability of "
        f"{100 * point.probability:.0f} %"
    )
    yield Heading(text="Decision")
    yield BulletList(items=lines)


def _scores(version: VersionInfo) -> Iterator[Block]:
    evaluation = version.evaluation
    yield Heading(text="Scores")
    yield Chart(
        kind="intervals",
        title="Accuracy by suite, ± one standard error",
        unit="%",
        values=[
            ChartValue(
                series="",
                category=suite.suite,
                value=100 * suite.accuracy,
                low=100 * (suite.accuracy - suite.standard_error),
                high=100 * (suite.accuracy + suite.standard_error),
            )
            for suite in evaluation.suites
        ],
    )
    yield DataTable(
        columns=["suite", ">items", ">accuracy", ">chance", ">normalised", "partial"],
        rows=[
            [
                suite.suite,
                f"{suite.num_items:,}",
                _score(suite.accuracy, suite.standard_error),
                f"{100 * suite.random_score:.1f} %",
                f"{suite.normalised:.1f}",
                suite.partial_reason,
            ]
            for suite in evaluation.suites
        ],
    )
    yield from _table(
        ["task", ">items", ">accuracy", ">chance", ">normalised", "metric"],
        [
            [
                task.task,
                f"{task.num_items:,}",
                _score(task.accuracy, task.standard_error),
                f"{100 * task.random_score:.1f} %",
                f"{task.normalised:.1f}",
                task.metric,
            ]
            for task in evaluation.tasks
        ],
    )


def _frontier(frontier: Frontier) -> Iterator[Block]:
    if not frontier.points:
        return
    yield Heading(text="Frontier")
    yield Chart(
        kind="intervals",
        title=f"Accuracy of the models on the same items, in the order of {frontier.unit}",
        unit="%",
        values=[
            ChartValue(
                series=point.kind,
                category=f"{point.name} v{point.version}",
                value=100 * point.accuracy,
                low=100 * (point.accuracy - point.standard_error),
                high=100 * (point.accuracy + point.standard_error),
            )
            for point in frontier.points[:60]
        ],
    )
    yield from _table(
        [">version", "model", f">{frontier.unit}", ">accuracy", ">tie group", ">probability"],
        [
            [
                str(point.version),
                ("★ " if point.is_champion else "") + point.name,
                f"{point.cost:.4g}",
                _score(point.accuracy, point.standard_error),
                str(point.tie_group),
                f"{100 * point.probability:.0f} %",
            ]
            for point in frontier.points
        ],
    )


def _gates(verdict: Verdict | None) -> Iterator[Block]:
    yield Heading(text="Gates")
    if verdict is None:
        yield Paragraph(text="The gates were not asked.")
        return
    champion = "without a champion" if verdict.champion is None else f"against v{verdict.champion}"
    yield Paragraph(text=f"{verdict.outcome} on {verdict.at:%Y-%m-%d %H:%M} UTC, {champion}.")
    yield DataTable(
        columns=["gate", "result", "detail"],
        rows=[
            [gate.name, "pass" if gate.passed else "FAILED", gate.detail[:MAX_CELL]]
            for gate in verdict.gates
        ],
    )


def _lineage(version: VersionInfo) -> Iterator[Block]:
    yield Heading(text="Lineage")
    chain = version.run_record.training_chain
    yield Paragraph(text=f"Training began with: {chain.origin}.")
    yield from _table(
        ["run", "preset", "data version", "tasks", ">steps", ">seed", ">TFLOPs"],
        [
            [
                run.name,
                run.preset,
                run.data_version,
                (", ".join(run.tasks) or "all")[:MAX_CELL],
                str(run.steps),
                str(run.seed),
                f"{run.training_flops / 1e12:.4g}",
            ]
            for run in chain.runs
        ],
    )


def _history(history: Sequence[HistoryEntry]) -> Iterator[Block]:
    yield Heading(text="History")
    yield from _table(
        ["time (UTC)", "change", "by", "reason"],
        [[f"{e.at:%Y-%m-%d %H:%M}", e.kind.value, e.actor, e.reason[:MAX_CELL]] for e in history],
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Block]:
    yield DataTable(columns=columns, rows=rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        yield Paragraph(text=f"{len(rows) - MAX_ROWS:,} further rows are not shown.")


def _score(accuracy: float, error: float) -> str:
    return f"{100 * accuracy:.1f} ± {100 * error:.1f} %"
