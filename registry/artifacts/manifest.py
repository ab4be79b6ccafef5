"""Manifests: the files of an artifact by relative path, size and SHA-256.

A manifest is canonical JSON, so that equal files have equal manifests, and it is addressed by the
SHA-256 of its own bytes. It contains no path of the store or of the machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from registry.errors import DamagedArtifact

FORMAT = 1
MAX_PATH = 500
"""Length of the longest path in a manifest."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, kw_only=True)
class ArtifactFile:
    """A file of an artifact."""

    path: str
    """Relative path, with forward slashes."""
    size: int
    """In bytes."""
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of an artifact, sorted by path."""

    files: tuple[ArtifactFile, ...]

    @classmethod
    def of(cls, files: Iterable[ArtifactFile]) -> Manifest:
        """Build a manifest; the order of the files does not matter.

        Raises:
            DamagedArtifact: a path is not a relative path within the artifact, or occurs twice.
        """
        manifest = cls(tuple(sorted(files, key=lambda file: file.path)))
        for file in manifest.files:
            _check_path(file.path)
        paths = {file.path for file in manifest.files}
        if len(paths) != len(manifest.files):
            raise DamagedArtifact("a manifest names a file twice; register the run again")
        folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
        for path in sorted(paths & folders):
            raise DamagedArtifact(f"a manifest has {path!r} as a file and as a folder")
        return manifest

    @classmethod
    def parse(cls, content: bytes, digest: str) -> Manifest:
        """Read a manifest.

        Args:
            content: its bytes.
            digest: the SHA-256 that it is addressed by.

        Raises:
            DamagedArtifact: the bytes have another checksum, or are not a manifest.
        """
        if hashlib.sha256(content).hexdigest() != digest:
            raise DamagedArtifact(
                f"manifest {digest} does not match its checksum, so it is truncated or changed; "
                "restore it with `flanmoe registry register FOLDER` (the folder of the run)"
            )
        try:
            value = json.loads(content)
            if value["format"] != FORMAT:
                raise DamagedArtifact(
                    f"manifest {digest} has format {value['format']!r}, expected {FORMAT}; upgrade "
                    "flanmoe"
                )
            return cls.of(_parse_file(entry) for entry in value["files"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedArtifact(
                f"{digest} is not a manifest; restore it with `flanmoe registry register FOLDER` "
                "(the folder of the run)"
            ) from None

    @cached_property
    def by_path(self) -> dict[str, ArtifactFile]:
        """Files by path."""
        return {file.path: file for file in self.files}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        files = [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in self.files]
        value = {"files": files, "format": FORMAT}
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether a text is a SHA-256 in hexadecimal."""
    return bool(_SHA256.fullmatch(text))


def _parse_file(entry: Any) -> ArtifactFile:
    path, size, sha256 = entry["path"], entry["size"], entry["sha256"]
    is_valid = isinstance(size, int) and size >= 0 and is_digest(sha256)
    if not is_valid or not isinstance(path, str):
        raise ValueError("not a file of a manifest")
    return ArtifactFile(path=path, size=size, sha256=sha256)


def _check_path(path: str) -> None:
    """Reject paths that lead out of the artifact's folder, or that some system reads otherwise."""
    parts = path.split("/")
    is_unsafe = any(part in ("", ".", "..") for part in parts) or ":" in parts[0]
    if is_unsafe or len(path) > MAX_PATH or _CONTROL.search(path):
        raise DamagedArtifact(
            f"{path[:MAX_PATH]!r} is not a path within an artifact; expected a relative path "
            "without `..`, such as weights/model.safetensors"
        )
