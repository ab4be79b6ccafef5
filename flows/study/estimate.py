"""Compute and time of a study before it runs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flows.config.run_training import training_params
from flows.runtime.data_sizes import expected_sizes
from flows.runtime.usage import read_usage
from flows.runtime.workspace import WORKSPACES
from flows.study.expansion import StudyPlan
from models import layout
from models.config import ModelConfig
from models.cost.plan import plan_runs
from models.training.params import TrainingParams
from models.training.speed import measure_step_seconds

SIZE_FIELDS = ("vocab_size", "d_model", "d_ff", "num_heads", "d_kv", "num_layers", "activation")
MOE_FIELDS = ("num_experts", "router", "top_k", "moe_every", "dense_after_moe")
"""Fields of a configuration on which the speed of training depends."""


@dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """Expected cost of a run with one seed."""

    run: str
    flops: int
    """Of this run alone."""
    training_seconds: float
    is_measured: bool
    """Whether the speed is that of earlier trainings of the same model; else of a few steps now."""


@dataclass(frozen=True, kw_only=True)
class StudyEstimate:
    """Expected cost of a study."""

    runs: tuple[RunEstimate, ...]
    num_seeds: int
    num_variants: int
    num_parallel: int
    """Stages that run at the same time."""
    evaluation_seconds: float | None
    """Of one evaluation; None if none has run in the project."""
    overhead_seconds: float
    """Of a training beside its steps: start of the process, reading, writing."""

    @property
    def num_trainings(self) -> int:
        """Number of runs, with every seed and variant."""
        return len(self.runs) * self.num_seeds * self.num_variants

    @property
    def flops(self) -> int:
        """FLOPs of all trainings."""
        return sum(run.flops for run in self.runs) * self.num_seeds * self.num_variants

    @property
    def training_seconds(self) -> float:
        """Seconds of all training steps, on the given number of processes in parallel."""
        seconds = sum(run.training_seconds for run in self.runs)
        return seconds * self.num_seeds * self.num_variants / self.num_parallel

    @property
    def fixed_seconds(self) -> float:
        """Seconds of evaluations and starts, which do not depend on the number of steps."""
        by_run = self.overhead_seconds + (self.evaluation_seconds or 0.0)
        return by_run * self.num_trainings / self.num_parallel

    @property
    def total_seconds(self) -> float:
        """Expected time of the study, without the data stages."""
        return self.training_seconds + self.fixed_seconds


def estimate_study(project: Path, plan: StudyPlan) -> StudyEstimate:
    """Estimate compute and time from the cost model and from measured speed.

    The speed of a model is that of earlier trainings of the same sizes in the project or one of its
    workspaces, on this machine; without one, of a few steps on random tokens, measured now.
    """
    workspace = plan.workspaces[0]
    params, sizes = workspace.params, expected_sizes(project, workspace.params)
    training = {name: training_params(params.models, name) for name in params.models.runs}
    earlier = dict(_measured_speeds(project))
    speeds = dict(earlier)
    runs = []
    for planned in plan_runs(params.models.runs, training, sizes, project):
        key = _speed_key(planned.config)
        if key not in speeds:
            seconds = measure_step_seconds(
                planned.config,
                _without_files(training[planned.name]),
                encoder_length=sizes.encoder_length,
                decoder_length=sizes.decoder_length,
            )
            speeds[key] = planned.flops.total / max(planned.run.steps, 1) / seconds
        runs.append(
            RunEstimate(
                run=planned.name,
                flops=planned.flops.total,
                training_seconds=planned.flops.total / speeds[key],
                is_measured=key in earlier,
            )
        )
    usage = [entry for entry in read_usage(project) if entry.kind == "stage"]
    evaluations = [
        e.seconds for e in usage if e.name.startswith("evaluate@") and e.outcome == "ran"
    ]
    return StudyEstimate(
        runs=tuple(runs),
        num_seeds=len(plan.study.seeds),
        num_variants=len(plan.workspaces),
        num_parallel=min(params.flows.max_parallel_stages, os.cpu_count() or 1),
        evaluation_seconds=median(evaluations) if evaluations else None,
        overhead_seconds=_overhead_seconds(project),
    )


def _measured_speeds(project: Path) -> Iterator[tuple[str, float]]:
    """Yield the median FLOP/s of the finished trainings on this processor by model sizes."""
    rates: dict[str, list[float]] = {}
    for folder in _replicate_folders(project):
        record = _read_json(folder / "run.json")
        execution = _read_json(folder / "execution.json")
        if record is None or execution is None or not execution.get("flops_per_second"):
            continue
        if execution.get("device") != "cpu" or not record.get("model"):
            continue
        key = _speed_key(ModelConfig.from_dict(record["model"]))
        rates.setdefault(key, []).append(float(execution["flops_per_second"]))
    for key, values in rates.items():
        yield key, median(values)


def _overhead_seconds(project: Path) -> float:
    """Return the median seconds of finished training stages beyond their training."""
    seconds_by_stage = {
        (Path(entry.workspace).resolve(), entry.name): entry.seconds
        for entry in read_usage(project)
        if entry.kind == "stage" and entry.outcome == "ran" and entry.name.startswith("train@")
    }
    overheads = []
    for folder in _replicate_folders(project):
        workspace = folder.parent.parent.parent.resolve()
        label = f"train@{folder.parent.name}-{folder.name.removeprefix('seed_')}"
        execution = _read_json(folder / "execution.json")
        seconds = seconds_by_stage.get((workspace, label))
        if seconds is not None and execution and not execution.get("resumed_from_step"):
            overheads.append(seconds - float(execution.get("training_seconds") or 0.0))
    return max(0.0, median(overheads)) if overheads else 0.0


def _replicate_folders(project: Path) -> list[Path]:
    """Return the result folders of the project and its workspaces."""
    roots = [project, *sorted((project / WORKSPACES).glob("*"))]
    return [path for root in roots for path in sorted((root / layout.RUNS).glob("*/seed_*"))]


def _read_json(path: Path) -> Mapping[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _speed_key(config: ModelConfig) -> str:
    values: list[Any] = [getattr(config, name) for name in SIZE_FIELDS]
    if config.moe is not None:
        values += [getattr(config.moe, name) for name in MOE_FIELDS]
    return json.dumps(values)


def _without_files(training: TrainingParams) -> TrainingParams:
    """Return the settings of a training without checkpoints during the measurement."""
    checkpoint = dataclasses.replace(training.checkpoint, save_every=10**6)
    return dataclasses.replace(training, checkpoint=checkpoint, validate_every=0)
