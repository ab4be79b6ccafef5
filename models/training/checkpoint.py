"""What a killed run continues from: weights, optimizer, random state and step, in one file.

Written beside its place and renamed, with its checksum in latest.json, which is renamed last: a
process killed at any moment leaves the old checkpoint or the new one.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from models.errors import CorruptCheckpoint
from models.output import sha256, write_bytes, write_json


def save(folder: Path, step: int, fingerprint: str, state: dict[str, Any]) -> None:
    """`fingerprint` names everything the run depends on: another run must not continue it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = folder / f"step-{step}.pt"
    write_bytes(path, buffer.getvalue())
    latest = {"file": path.name, "sha256": sha256(path), "step": step, "fingerprint": fingerprint}
    write_json(folder / "latest.json", latest)
    for old in folder.glob("step-*.pt"):
        if old != path:
            old.unlink()


def load(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """State of the last checkpoint; None if there is none of this very run.

    Raises CorruptCheckpoint if the file is missing or differs from its checksum.
    """
    if not (folder / "latest.json").is_file():
        return None
    try:
        latest = json.loads((folder / "latest.json").read_text(encoding="utf-8"))
        path, digest = folder / latest["file"], latest["sha256"]
        if latest["fingerprint"] != fingerprint:
            return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptCheckpoint(_advice(folder / "latest.json", folder, str(error))) from None
    if not path.is_file() or sha256(path) != digest:
        raise CorruptCheckpoint(_advice(path, folder, "it is missing, cut or changed"))
    # weights_only: tensors and plain containers, no code, even if the file is not ours.
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def discard(folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    shutil.rmtree(folder, ignore_errors=True)


def _advice(path: Path, folder: Path, why: str) -> str:
    return f"{path} cannot be used: {why}; delete {folder} to train this run from its start"
