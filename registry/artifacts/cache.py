"""Local copies of the blobs of a remote store, and folders that show artifacts under their paths.

blobs/ab/abcdef…     copies of blobs, the least recently used ones deleted first
folders/1234ab…/     an artifact: links to its blobs, in the store or above
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.artifacts.blobs import RESTORE
from registry.artifacts.manifest import ArtifactFile
from registry.errors import DamagedArtifact, StoreUnavailable
from registry.files import sha256

MAX_BYTES = 50 * 2**30
"""Bytes of all copies."""
IN_USE_S = 3600.0
"""A copy that was used within this time is not deleted."""


@dataclass(frozen=True)
class ArtifactCache:
    """The cache of a project; any of it may be deleted while no command runs."""

    folder: Path
    max_bytes: int = MAX_BYTES

    def link_folder(self, digest: str, blobs: Mapping[str, Path]) -> Path:
        """Return a folder with a link to each blob.

        Args:
            digest: the artifact's.
            blobs: path in the artifact -> file.

        Raises:
            StoreUnavailable: the cache cannot be written.
        """
        folder = self.folder / "folders" / digest
        try:
            for path, blob in blobs.items():
                _replace_link(folder / path, blob.absolute())
        except OSError as error:
            raise self._unavailable(error) from None
        return folder

    def fetch(
        self, entry: ArtifactFile, read: Callable[[int], Iterable[bytes]], verified: set[str]
    ) -> Path:
        """Return a copy of a blob; an interrupted download resumes.

        Args:
            entry: the file.
            read: reads the blob in the store from an offset on.
            verified: digests of the copies that were verified in this process; extended.

        Raises:
            DamagedArtifact: the blob in the store does not match its checksum.
            MissingArtifact: the store does not have the blob.
            StoreUnavailable: the store cannot be read, or the cache not written.
        """
        path = self.folder / "blobs" / entry.sha256[:2] / entry.sha256
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # one process downloads, the others wait
                is_verified = entry.sha256 in verified and path.is_file()
                if not is_verified and not (path.is_file() and sha256(path) == entry.sha256):
                    self._make_space(entry.size)
                    _download(entry, read, path)
            os.utime(path)
        except OSError as error:
            raise self._unavailable(error) from None
        verified.add(entry.sha256)
        return path

    def _make_space(self, num_bytes: int) -> None:
        """Delete the least recently used copies until another `num_bytes` fit."""
        copies = sorted(
            (status.st_mtime, status.st_size, path)
            for path in (self.folder / "blobs").glob("*/*")
            if path.suffix != ".lock"
            for status in [path.stat()]
        )
        total = sum(size for _, size, _ in copies)
        for modified, size, path in copies:
            if total + num_bytes <= self.max_bytes or time.time() - modified < IN_USE_S:
                break
            path.unlink(missing_ok=True)
            total -= size
        for folder in (self.folder / "folders").glob("*"):
            if any(link.is_symlink() and not link.exists() for link in folder.rglob("*")):
                shutil.rmtree(folder, ignore_errors=True)

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"artifact cache {self.folder}: {error.filename or ''}: {error.strerror or error}; "
            "make the folder writable, or free space: any of it may be deleted"
        )


def _download(entry: ArtifactFile, read: Callable[[int], Iterable[bytes]], path: Path) -> None:
    """Download a blob beside its place and rename it; start again if the result is damaged.

    Raises:
        DamagedArtifact: the blob in the store does not match its checksum.
    """
    partial = path.with_suffix(".partial")
    has_resumed = partial.is_file() and partial.stat().st_size > 0
    with partial.open("ab") as target:
        for chunk in read(target.tell()):
            target.write(chunk)
    if sha256(partial) == entry.sha256:
        os.rename(partial, path)
        return
    partial.unlink()
    if has_resumed:  # the first part may be the damaged one
        _download(entry, read, path)
        return
    raise DamagedArtifact(
        f"{entry.path} ({entry.sha256[:12]}…) does not match its checksum in the artifact store, "
        f"so it is truncated or changed there; {RESTORE}"
    )


def _replace_link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    partial = link.with_name(f".{uuid.uuid4().hex}")
    partial.symlink_to(target)
    os.replace(partial, link)
