"""The commit of the code that a run executes. Imports no other package: the flow needs it too."""

from __future__ import annotations

import subprocess
from pathlib import Path

CODE = ("data_pipelines", "flows", "models", "dvc.yaml")
"""What a run executes, relative to the project. Its parameters are in the run record, and the
hashes of its data too."""


def git_commit(project: Path) -> str:
    """Return the commit of the code, with `+changes` if it differs; `unknown` without git.

    A file of the code that is not committed counts as a change, unless git ignores it.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""

    commit = git("rev-parse", "HEAD").strip()
    if not commit:
        return "unknown"
    changed = git("status", "--porcelain", "--untracked-files=normal", "--", *CODE).strip()
    return commit + ("+changes" if changed else "")
