"""What the pages show, as data frames: of the registry, and of the logs of training."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from registry.params import RegistryParams
from registry.store import Registry

HOME_VARIABLE = "FLANMOE_PROJECT_DIR"


def open_registry() -> Registry:
    """The registry of the project in FLANMOE_PROJECT_DIR, or in the current folder."""
    return Registry.open(home(), RegistryParams().artifacts)


def home() -> Path:
    """The project whose results are shown."""
    return Path(os.environ.get(HOME_VARIABLE, "."))


def training_logs() -> pd.DataFrame:
    """Log lines of all runs of the project and its workspaces; `running`: not ended yet.

    A run that goes on, or was killed, has its log beside its checkpoints; a line that is not whole
    yet is left for the next look.
    """
    found: list[dict[str, Any]] = []
    for folder in [home(), *sorted((home() / ".flanmoe" / "workspaces").glob("*"))]:
        prefix = "" if folder == home() else f"{folder.name}/"
        for running, pattern in (
            (True, ".flanmoe/checkpoints/*/log.jsonl"), (False, "runs/*/log.jsonl"),
        ):  # fmt: skip
            for path in sorted(folder.glob(pattern)):
                lines = _lines(path)
                run = {"run": prefix + path.parent.name, "running": running}
                found += [{"warnings": None, **line, **run} for line in lines]
    return pd.DataFrame(found)


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(text))
    except (OSError, ValueError):
        return lines
    return lines


def versions_frame(versions: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a version, in the units people read: GFLOPs, millions, percent."""
    rows = [
        {
            "model": version["model"],
            "version": version["version"],
            "run": version["name"],
            "kind": "MoE" if version["run_record"]["model"].get("moe") else "dense",
            "tuning": "instruction-tuned" if version["tuned"] else "not tuned",
            "stage": version["stage"],
            "champion": version["stage"] == "champion",
            "gflops_per_token": version["flops_per_token"] / 1e9,
            "accuracy": 100 * version["accuracy"],
            "error": 100 * version["error"],
            "low": 100 * (version["accuracy"] - version["error"]),
            "high": 100 * (version["accuracy"] + version["error"]),
            "chance": 100 * version["chance"],
            "normalised": version["normalised"],
            "items": version["items"],
            "partial": version["partial"],
            "scored_on": version["scored_on"],
            "contaminated": version["contaminated"],
            "total_millions": version["total_parameters"] / 1e6,
            "active_millions": version["active_parameters"] / 1e6,
            "training_seconds": version["training_seconds"],
            "training_tflops": version["training_flops"] / 1e12,
            "registered": version["created_at"][:19].replace("T", " "),
        }
        for version in versions
    ]
    return pd.DataFrame(rows)


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """The versions that were scored on the same items as the newest one."""
    newest = frame.sort_values("version")["scored_on"].iloc[-1]
    return pd.DataFrame(frame[frame["scored_on"] == newest])


def suites_frame(registry: Registry, model: str, frame: pd.DataFrame) -> pd.DataFrame:
    """One row a suite and version, for the newest version of each run in `frame`."""
    rows = [
        {
            "suite": suite["suite"],
            "version": f"{version['run']} v{version['version']}",
            "items": suite["n"],
            "accuracy": 100 * suite["accuracy"],
            "error": 100 * suite["error"],
            "normalised": suite["normalised"],
            "normalised_error": suite["normalised_error"],
            "contaminated": suite["contaminated"],
            "clean": 100 * suite["clean"]["accuracy"] if suite["clean"]["n"] else None,
            "partial": suite["partial_reason"],
        }
        for version in _newest(frame)
        for suite in registry.show(model, version["version"])["evaluation"].get("suites", [])
        # Records of before suites had a protocol hold less.
        if "clean" in suite
    ]
    return pd.DataFrame(rows).sort_values(["suite", "version"]) if rows else pd.DataFrame()


def _newest(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.sort_values("version").groupby("run").tail(1).to_dict("records")


def tasks_frame(registry: Registry, model: str, frame: pd.DataFrame) -> pd.DataFrame:
    """One row a task, for the newest version of each run in `frame`."""
    rows = [
        {
            "version": f"{version['run']} v{version['version']}",
            "kind": version["kind"],
            "tuning": version["tuning"],
            "suite": task["suite"],
            "task": task["task"].split("/", 1)[-1],
            "accuracy": 100 * task["accuracy"],
            "chance": 100 * task["random_score"],
        }
        for version in _newest(frame)
        for task in registry.show(model, version["version"])["evaluation"]["tasks"]
    ]
    return pd.DataFrame(rows)


def data_warnings(versions: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Warning of the data room -> the versions that were trained on such data."""
    found: dict[str, list[str]] = {}
    for version in versions:
        for warning in version["data_warnings"]:
            found.setdefault(warning, []).append(f"{version['name']} v{version['version']}")
    return found
