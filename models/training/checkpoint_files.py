"""Checkpoint folders on disk: which are complete and intact, seen by all machines alike.

Folders of complete checkpoints are `step-00000120`; one that is being written or deleted ends in
PARTIAL, and a damaged one that was passed over in DAMAGED.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from data_pipelines.files import sha256
from models.errors import CorruptCheckpoint

PARTIAL = ".partial"
DAMAGED = ".damaged"
CHECKPOINT_PATTERN = "step-*[0-9]"
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """A complete checkpoint on disk."""

    folder: Path
    step: int
    loss: float | None
    """Validation loss at that step, if it was measured."""
    manifest_sha256: str
    """SHA-256 of manifest.json, which has the checksums of the other files."""
    is_verified: bool = False
    """Whether the checksums of all files have been checked."""


def find_manifests(folder: Path) -> list[Path]:
    """Return the manifests of the complete checkpoints in a folder by ascending step."""
    return sorted(folder.glob(f"{CHECKPOINT_PATTERN}/manifest.json"))


def read_checkpoint(manifest: Path) -> CheckpointInfo:
    """Read the manifest of a checkpoint.

    Raises:
        CorruptCheckpoint: the manifest is unreadable.
    """
    try:
        content = manifest.read_bytes()
        values = json.loads(content)
        return CheckpointInfo(
            folder=manifest.parent,
            step=int(values["step"]),
            loss=values["loss"],
            manifest_sha256=hashlib.sha256(content).hexdigest(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptCheckpoint(_advice(manifest, str(error))) from None


def verify_checkpoint(folder: Path) -> None:
    """Check that a checkpoint has all files of its manifest, with their checksums.

    Raises:
        CorruptCheckpoint: a file is missing or does not match its checksum.
    """
    read_checkpoint(folder / "manifest.json")
    files = json.loads((folder / "manifest.json").read_bytes()).get("files", {})
    for name, digest in files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise CorruptCheckpoint(_advice(path, "missing, truncated or changed"))


def set_damaged_aside(folder: Path) -> Path:
    """Rename a damaged checkpoint, so that its step is written again; return the new folder.

    Raises:
        OSError: it cannot be renamed.
    """
    target = folder.with_name(folder.name + DAMAGED)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(folder, target)
    return target


def sees_checkpoint(checkpoint: CheckpointInfo, timeout_s: float) -> bool:
    """Wait until this machine sees a checkpoint as the machine that listed it does.

    A network file system shows a new file to other machines only after a while.

    Args:
        checkpoint: a checkpoint that another rank has listed.
        timeout_s: longest time to wait, in seconds.
    """
    manifest = checkpoint.folder / "manifest.json"
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if sha256(manifest) == checkpoint.manifest_sha256:
                return True
        except OSError:
            pass
        if time.monotonic() >= deadline:
            return False
        if checkpoint.folder.parent.is_dir():
            next(checkpoint.folder.parent.iterdir(), None)  # NFS reads the folder again
        time.sleep(POLL_S)


def _advice(path: Path, reason: str) -> str:
    folder = path.parent
    earlier = [p.name for p in sorted(folder.parent.glob(CHECKPOINT_PATTERN)) if p != folder]
    remedy = f"to resume from {earlier[-1]}" if earlier else "to restart training"
    return f"{path} is unusable: {reason}; delete {folder} {remedy}"
