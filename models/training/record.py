"""The run record: one JSON file that says what was trained, from what, at which cost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

SCHEMA_VERSION = 1


def git_commit(folder: Path) -> str:
    """Commit of the code, with `+changes` if the tree differs from it; `unknown` outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""

    commit = git("rev-parse", "HEAD").strip()
    if not commit:
        return "unknown"
    # dvc.lock changes with every run: it is a result, not code.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock").strip()
    return commit + ("+changes" if changed else "")


def data_hashes(workspace: Path) -> dict[str, str]:
    """Output path -> hash, for every data stage in dvc.lock; empty without DVC."""
    lock = workspace / "dvc.lock"
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {
        out["path"]: out["md5"]
        for stage in stages.values()
        for out in stage.get("outs", [])
        if out["path"].startswith("data/") and "md5" in out
    }


def run_record(**content: Any) -> dict[str, Any]:
    """The record with its schema version. Fields: see `registry.intake.RunRecord`."""
    return {"schema_version": SCHEMA_VERSION, **content}
