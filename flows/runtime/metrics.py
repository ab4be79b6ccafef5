"""Counters of the usage log in the text format of Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from flows.runtime.usage import UsageEntry

Labels = tuple[tuple[str, str], ...]


def render_metrics(entries: Sequence[UsageEntry]) -> str:
    """Return stages, retries, failures, promotions, GPU hours and utilization as metrics."""
    stages = [entry for entry in entries if entry.kind == "stage"]
    promotions = [entry for entry in entries if entry.kind == "promotion"]
    failures = [entry for entry in stages if entry.outcome == "failed"]
    retries = [entry for entry in stages if entry.attempt > 1]
    trainings = [entry for entry in stages if entry.mfu is not None]
    blocks = [
        _metric(
            "flanmoe_stages_total",
            "counter",
            "Stages by outcome.",
            _sum(stages, _stage_and_outcome, lambda _: 1),
        ),
        _metric(
            "flanmoe_stage_seconds_total",
            "counter",
            "Time of stages.",
            _sum(stages, _stage, lambda entry: entry.seconds),
        ),
        _metric(
            "flanmoe_stage_retries_total",
            "counter",
            "Retries of stages.",
            _sum(retries, _stage, lambda _: 1),
        ),
        _metric(
            "flanmoe_stage_failures_total",
            "counter",
            "Stages that failed.",
            _sum(failures, _stage, lambda _: 1),
        ),
        _metric(
            "flanmoe_promotions_total",
            "counter",
            "Decisions about promotions by outcome.",
            _sum(
                promotions,
                lambda entry: (("model", entry.name), ("outcome", entry.outcome)),
                lambda _: 1,
            ),
        ),
        _metric(
            "flanmoe_gpu_hours_total",
            "counter",
            "GPU hours of training.",
            _sum([e for e in stages if e.gpu_hours], _stage, lambda entry: entry.gpu_hours),
        ),
        _metric(
            "flanmoe_training_mfu",
            "gauge",
            "Model FLOPs utilization of the last training of each run.",
            {_stage(entry): entry.mfu or 0.0 for entry in trainings},
        ),
    ]
    return "".join(blocks)


def _stage(entry: UsageEntry) -> Labels:
    return (("stage", entry.name),)


def _stage_and_outcome(entry: UsageEntry) -> Labels:
    return (("stage", entry.name), ("outcome", entry.outcome))


def _sum(
    entries: Iterable[UsageEntry],
    labels: Callable[[UsageEntry], Labels],
    value: Callable[[UsageEntry], float],
) -> Mapping[Labels, float]:
    totals: dict[Labels, float] = defaultdict(float)
    for entry in entries:
        totals[labels(entry)] += value(entry)
    return totals


def _metric(name: str, kind: str, description: str, values: Mapping[Labels, float]) -> str:
    lines = [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]
    for labels, value in sorted(values.items()):
        text = ",".join(f'{key}="{_escape(entry)}"' for key, entry in labels)
        lines.append(f"{name}{{{text}}} {value:.10g}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
