"""Artifact folders of release 0.1.0, which recorded their absolute paths.

A folder is read where it was recorded, or by its last component in the store's folder, where it
lies after the project was moved. When its run is registered again, its files are stored by content
and `legacy/NAME` refers to their manifest; the database stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry.artifacts.blobs import RESTORE
from registry.artifacts.manifest import ArtifactFile, Manifest, is_digest
from registry.artifacts.storage import Storage
from registry.errors import DamagedArtifact, MissingArtifact
from registry.files import sha256


@dataclass(frozen=True)
class LegacyFolders:
    """The folders of release 0.1.0 that belong to a store."""

    storage: Storage

    def imported_as(self, reference: str) -> str | None:
        """Return the digest of the manifest that replaces a folder; None without one.

        Raises:
            DamagedArtifact: the store's reference to the manifest is malformed.
        """
        key = _key(reference)
        if self.storage.stat(key) is None:
            return None
        digest = b"".join(self.storage.chunks(key)).decode("ascii", errors="replace")
        if not is_digest(digest):
            raise DamagedArtifact(
                f"{self.storage.location}/{key} is not a checksum; delete it and register the run "
                "again"
            )
        return digest

    def record_import(self, reference: str, digest: str) -> None:
        """Record the manifest that replaces a folder."""
        self.storage.write(digest.encode(), _key(reference))

    def folder(self, reference: str) -> Path:
        """Return the folder.

        Raises:
            MissingArtifact: it is not where it was recorded, nor in the store's folder.
        """
        recorded = Path(reference)
        is_valid = recorded.is_absolute() and recorded.name != ""
        for folder in (self.storage.local_path(recorded.name), recorded):
            if is_valid and folder is not None and folder.is_dir():
                return folder
        raise MissingArtifact(
            f"{reference} is missing, and {self.storage.location} has no {recorded.name}; check "
            f"registry.artifacts, or {RESTORE}"
        )

    def manifest(self, reference: str) -> Manifest:
        """Return the files of a folder as they are now."""
        folder = self.folder(reference)
        return Manifest.of(
            ArtifactFile(
                path=path.relative_to(folder).as_posix(),
                size=path.stat().st_size,
                sha256=sha256(path),
            )
            for path in folder.rglob("*")
            if path.is_file()
        )

    def file(self, reference: str, path: str) -> Path:
        """Return a file of a folder.

        Raises:
            MissingArtifact: the folder or the file is missing.
        """
        file = self.folder(reference) / path
        if not file.is_file():
            raise MissingArtifact(f"{file} is missing; {RESTORE}")
        return file


def _key(reference: str) -> str:
    return f"legacy/{PurePosixPath(reference).name}"
