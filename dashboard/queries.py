"""Data frames of the pages, from the registry and from training logs."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from registry.comparison.frontier import cost_of
from registry.comparison.precision import describe_precision
from registry.store import Registry
from registry.versions import VersionInfo, current_versions

PROJECT_VARIABLE = "FLANMOE_PROJECT_DIR"
ARTIFACTS_VARIABLE = "FLANMOE_ARTIFACTS"
"""`registry.artifacts` of the project's params.yaml."""
LOG_KEYS_0_1_0 = {"largest_load": "max_expert_load", "balance": "load_balance_loss"}
"""Keys in the training logs of release 0.1.0, and the present ones."""
_UNKNOWN = {"warnings": None, **dict.fromkeys(("tokens_per_second", "mfu", "time"), math.nan)}


def project_folder() -> Path:
    """Return the folder of the project to show: FLANMOE_PROJECT_DIR or the current folder."""
    return Path(os.environ.get(PROJECT_VARIABLE, "."))


def open_registry() -> Registry:
    """Open the registry of the project."""
    return Registry.open(project_folder(), os.environ.get(ARTIFACTS_VARIABLE, ""))


def training_logs() -> pd.DataFrame:
    """Read the log lines of all runs of the project and its workspaces.

    A run in progress, or a killed one, has its log beside its checkpoints; an incomplete last line
    is skipped. The throughput of a finished run is in a file of its own.

    Returns:
        One row per log line; `running` marks runs that have not finished. Throughput and time are
        missing in a clone without the file.
    """
    project = project_folder()
    rows: list[dict[str, Any]] = []
    for folder in [project, *sorted((project / ".flanmoe" / "workspaces").glob("*"))]:
        prefix = "" if folder == project else f"{folder.name}/"
        for running, pattern in (
            (True, ".flanmoe/checkpoints/*/log.jsonl"), (False, "runs/*/seed_*/log.jsonl"),
            (False, "runs/*/log.jsonl"),  # of release 0.1.0
        ):  # fmt: skip
            for path in sorted(folder.glob(pattern)):
                run = {"run": prefix + _label_of_log(path), "running": running}
                measured = {
                    line["step"]: line for line in _read_lines(path.with_name("throughput.jsonl"))
                }
                for line in _read_lines(path):
                    rows.append({**_UNKNOWN, **line, **measured.get(line["step"], {}), **run})
    return pd.DataFrame(rows)


def _label_of_log(path: Path) -> str:
    """Return the run and seed of a log, e.g. moe_base-1, as the folders of checkpoints have it."""
    folder = path.parent
    if folder.name.startswith("seed_"):
        return f"{folder.parent.name}-{folder.name.removeprefix('seed_')}"
    return folder.name


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines before the first incomplete one; none without the file."""
    lines = []
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            lines.append({LOG_KEYS_0_1_0.get(key, key): value for key, value in line.items()})
    except (OSError, ValueError):
        return lines
    return lines


def versions_frame(versions: Sequence[VersionInfo]) -> pd.DataFrame:
    """Return one row per version: accuracies in percent, FLOPs in giga, parameters in millions."""
    return pd.DataFrame([_version_row(version) for version in versions])


def _version_row(version: VersionInfo) -> dict[str, Any]:
    run, scores = version.run_record, version.evaluation
    return {
        "model": version.model,
        "version": version.version,
        "run": version.name,
        "seed": version.seed,
        "kind": version.kind,
        "tuning": _tuning(version),
        "state": version.standing,
        "champion": version.is_champion,
        "gflops_per_token": run.flops_per_token / 1e9,
        "accuracy": 100 * scores.accuracy,
        "standard_error": 100 * scores.standard_error,
        "low": 100 * (scores.accuracy - scores.standard_error),
        "high": 100 * (scores.accuracy + scores.standard_error),
        "random_score": 100 * scores.random_score,
        "normalised": scores.normalised,
        "num_items": scores.num_items,
        "partial": scores.partial,
        "num_contaminated": scores.num_contaminated,
        "total_millions": run.total_parameters / 1e6,
        "active_millions": run.active_parameters / 1e6,
        "training_tflops": _format_tflops(run.cumulative_training_flops),
        "own_training_tflops": run.training_flops / 1e12,
        "training_seconds": run.training_seconds,
        "precision": describe_precision(scores),
        "milliseconds_per_item": cost_of(version, "time"),
        "registered": f"{version.created_at:%Y-%m-%d %H:%M:%S}",
    }


def select_comparable(versions: Sequence[VersionInfo]) -> list[VersionInfo]:
    """Return the versions that were evaluated on the same items as the newest version."""
    newest = max(versions, key=lambda version: version.version)
    return [version for version in versions if version.items_digest == newest.items_digest]


def suites_frame(versions: Sequence[VersionInfo]) -> pd.DataFrame:
    """Return one row per suite, for the newest version of each run and the champion."""
    rows = [
        {
            "suite": suite.suite,
            "version": _label(version),
            "num_items": suite.num_items,
            "accuracy": 100 * suite.accuracy,
            "standard_error": 100 * suite.standard_error,
            "normalised": suite.normalised,
            "normalised_standard_error": suite.normalised_standard_error,
            "num_contaminated": suite.num_contaminated,
            "clean": None if suite.clean.accuracy is None else 100 * suite.clean.accuracy,
            "partial": suite.partial_reason,
        }
        for version in current_versions(versions)
        for suite in version.evaluation.suites
    ]
    return pd.DataFrame(rows).sort_values(["suite", "version"])


def tasks_frame(versions: Sequence[VersionInfo]) -> pd.DataFrame:
    """Return one row per task, for the newest version of each run and the champion."""
    rows = [
        {
            "version": _label(version),
            "kind": version.kind,
            "tuning": _tuning(version),
            "suite": task.suite,
            "task": task.task.split("/", 1)[-1],
            "accuracy": 100 * task.accuracy,
            "random_score": 100 * task.random_score,
        }
        for version in current_versions(versions)
        for task in version.evaluation.tasks
    ]
    return pd.DataFrame(rows)


def data_warnings(versions: Sequence[VersionInfo]) -> dict[str, list[str]]:
    """Return the warnings about training data, each with the versions that were trained on it."""
    labels_by_warning: dict[str, list[str]] = defaultdict(list)
    for version in versions:
        for warning in version.evaluation.data_warnings:
            labels_by_warning[warning].append(_label(version))
    return dict(labels_by_warning)


def _format_tflops(flops: float | None) -> str:
    return "unknown" if flops is None else f"{flops / 1e12:.3g}"


def _label(version: VersionInfo) -> str:
    return f"{version.name} v{version.version}"


def _tuning(version: VersionInfo) -> str:
    return "instruction-tuned" if version.run_record.tuned else "not tuned"
