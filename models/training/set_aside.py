"""Checkpoints of other settings: set aside for later, so that they do not block training.

The folder of a run's checkpoints is renamed to `RUN.set_aside-HASH` with a hash of the settings
that its result depends on. A run with these settings takes it back and resumes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAX_SET_ASIDE = 2
"""Folders per run; the oldest are deleted."""
_SET_ASIDE = ".set_aside-"


def set_aside_other_checkpoints(
    folder: Path, manifests: Sequence[Path], fingerprint: dict[str, Any], format_version: int
) -> str | None:
    """Set checkpoints of other settings or of another format aside, and take matching ones back.

    Args:
        folder: folder of the run's checkpoints.
        manifests: manifest.json of its checkpoints, by ascending step.
        fingerprint: present settings.
        format_version: present format of checkpoints.

    Returns:
        What happened, for the user; None if nothing did.

    Raises:
        OSError: a folder cannot be renamed or deleted.
    """
    notes = []
    manifest = _read(manifests[-1]) if manifests else None
    if manifest is not None:
        difference = _difference(manifest, fingerprint, format_version)
        if difference:
            target = folder.with_name(folder.name + _SET_ASIDE + _hash(manifest))
            shutil.rmtree(target, ignore_errors=True)
            os.replace(folder, target)
            os.utime(target)
            _delete_old(folder)
            notes.append(f"checkpoints of other params were set aside in {target} ({difference})")
            manifests = []
    own = folder.with_name(
        folder.name
        + _SET_ASIDE
        + _hash({"fingerprint": fingerprint, "format_version": format_version})
    )
    if not manifests and own.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(own, folder)
        notes.append(f"training resumes from checkpoints that were set aside in {own}")
    elif notes:
        notes.append("training starts anew; the same params as before resume from them")
    return "; ".join(notes) or None


def _read(manifest: Path) -> dict[str, Any] | None:
    """Return a manifest; None if it is damaged, which loading the checkpoint reports."""
    try:
        value = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _difference(manifest: dict[str, Any], fingerprint: dict[str, Any], version: int) -> str:
    """Return in what a checkpoint differs from the present settings; empty if in nothing."""
    saved_version = manifest.get("format_version", 1)
    if saved_version != version:
        return f"checkpoint format {saved_version}, now {version}"
    return "; ".join(_differences(manifest.get("fingerprint", {}), fingerprint)[:3])


def _differences(saved: dict[str, Any], current: dict[str, Any], path: str = "") -> list[str]:
    """Return `KEY is A in the checkpoint, B now` for each value that differs."""
    differences = []
    for key in sorted({*saved, *current}):
        a, b = saved.get(key), current.get(key)
        where = f"{path}.{key}" if path else str(key)
        if isinstance(a, dict) and isinstance(b, dict):
            differences += _differences(a, b, where)
        elif a != b:
            differences.append(f"{where} is {a} in the checkpoint, {b} now")
    return differences


def _hash(manifest: dict[str, Any]) -> str:
    """Return 8 hexadecimal characters for the settings and the format of checkpoints."""
    content = [manifest.get("format_version", 1), manifest.get("fingerprint", {})]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def _delete_old(folder: Path) -> None:
    folders = sorted(
        folder.parent.glob(f"{folder.name}{_SET_ASIDE}*"), key=lambda path: path.stat().st_mtime
    )
    for old in folders[:-MAX_SET_ASIDE]:
        shutil.rmtree(old)
