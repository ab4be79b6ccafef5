"""What the pipeline left in .flanmoe: the usage log and the logs of the stages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from dashboard import text
from dashboard.prefect_api import flow_run_page

STATE = Path(".flanmoe")
MAX_BYTES = 256 * 1024
"""Read from the end of a log."""


def read_last_stages(project: Path, limit: int) -> pd.DataFrame:
    """Return the last stages and promotions that ran in any workspace, newest first.

    Args:
        project: folder of the usage log.
        limit: largest number of rows.
    """
    rows = []
    for line in reversed(read_end(project / STATE / "usage.jsonl").splitlines()):
        try:
            entry = json.loads(line)
            end = datetime.fromtimestamp(float(entry["time"]), UTC)
            rows.append(
                {
                    "ended (UTC)": f"{end:%Y-%m-%d %H:%M:%S}",
                    "workspace": text.name(str(entry["workspace"])),
                    "stage": text.name(str(entry["name"])),
                    "outcome": text.name(str(entry["outcome"])),
                    "attempt": int(entry.get("attempt", 1)),
                    "seconds": float(entry.get("seconds", 0.0)),
                    "Prefect": flow_run_page(str(entry.get("flow_run", ""))),
                }
            )
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            continue  # half a line, or of another form
        if len(rows) == limit:
            break
    return pd.DataFrame(rows)


def list_stage_logs(workspace: Path) -> dict[str, Path]:
    """Return the logs of the stages that ran last in a workspace, the newest first."""
    logs = [path for path in (workspace / STATE / "logs").glob("*.log") if path.is_file()]
    logs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return {path.stem: path for path in logs}


def read_end(path: Path) -> str:
    """Return the last lines of a file; empty without the file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_BYTES))
            content = file.read()
    except OSError:
        return ""
    if size > MAX_BYTES:
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class ChangedStage:
    """A stage that DVC would run again."""

    stage: str
    reason: str


def parse_dvc_status(output: str) -> list[ChangedStage]:
    """Return the stages that are out of date, in the order of the pipeline.

    Args:
        output: of `dvc status --json`.

    Raises:
        ValueError: the output has another form.
    """
    status = json.loads(output)
    if not isinstance(status, dict):
        raise ValueError("expected an object")
    changed = []
    for stage, entries in status.items():
        if entries == ["always changed"]:
            continue  # it looks again for changes of the code at every run
        reasons = [_describe(entry) for entry in entries]
        changed.append(ChangedStage(stage=stage, reason="; ".join(reasons)))
    return changed


def _describe(entry: object) -> str:
    """Describe a reason of DVC: a word, or `changed deps` with the state of each path."""
    if not isinstance(entry, dict):
        return str(entry)
    parts = []
    for what, paths in entry.items():
        names = [
            f"{path} {state if isinstance(state, str) else ', '.join(map(str, state))}"
            for path, state in paths.items()
        ]
        parts.append(f"{what}: {', '.join(names)}")
    return "; ".join(parts)
