"""Log lines of training runs, from the folders of the project and its workspaces."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard.cached_queries import project_folder

LOG_KEYS_0_1_0 = {"largest_load": "max_expert_load", "balance": "load_balance_loss"}
"""Keys in the training logs of release 0.1.0, and the present ones."""
_UNKNOWN = {"warnings": None, **dict.fromkeys(("tokens_per_second", "mfu", "time"), math.nan)}


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
