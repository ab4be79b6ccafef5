"""The artifact store: files of versions, addressed by the SHA-256 of their content.

    blobs/ab/abcdef…       the bytes of a file, once for all versions that have it
    manifests/12/1234ab…   the files of an artifact (registry.artifacts.manifest)

The registry records the SHA-256 of the manifest, and neither contains a path of the store, so a
store can be moved, and several machines can use it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.artifacts.blobs import (
    BLOBS,
    MANIFESTS,
    RESTORE,
    BlobReader,
    blob_key,
    manifest_key,
)
from registry.artifacts.cache import ArtifactCache
from registry.artifacts.legacy import LegacyFolders
from registry.artifacts.local_storage import LocalStorage
from registry.artifacts.manifest import ArtifactFile, Manifest, is_digest
from registry.artifacts.remote_storage import RemoteStorage
from registry.artifacts.storage import PARTIAL, Storage, StoredObject
from registry.errors import DamagedArtifact, MissingArtifact
from registry.files import sha256

if TYPE_CHECKING:  # every command checks its parameters, also those without a database
    from sqlalchemy import URL


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts by the digest of their manifest; the files of release 0.1.0 by their folder."""

    storage: Storage
    cache: ArtifactCache
    _verified: set[str] = field(default_factory=set, repr=False)
    """Digests of the blobs whose content was verified in this process."""
    _manifests: dict[str, Manifest] = field(default_factory=dict, repr=False)
    """Manifests that were read in this process, by digest."""

    @classmethod
    def open(cls, project: Path, url: URL, configured: str) -> ArtifactStore:
        """Open a project's store; nothing is read or written yet.

        Args:
            project: the project's root.
            url: URL of the registry's database.
            configured: `registry.artifacts` of params.yaml: a folder, absolute or relative to the
                project, or an fsspec URL; empty: beside the SQLite file, or .flanmoe/artifacts for
                a database server.

        Raises:
            StoreUnavailable: the URL is of an unknown kind.
        """
        cache = ArtifactCache((project / ".flanmoe" / "artifact_cache").resolve())
        if is_remote(configured):
            return cls(RemoteStorage.open(configured), cache)
        if configured:
            folder = project / configured.removeprefix("file://")
        elif url.get_backend_name() == "sqlite" and url.database:
            folder = Path(url.database).resolve().parent / "artifacts"
        else:
            folder = project / ".flanmoe" / "artifacts"
        return cls(LocalStorage(folder.resolve()), cache)

    @classmethod
    def in_folder(cls, folder: Path) -> ArtifactStore:
        """Open a store in a folder; its cache is beside it."""
        return cls(LocalStorage(folder), ArtifactCache(folder.parent / "artifact_cache"))

    def check_writable(self) -> None:
        """Write and delete an object, so that a run does not fail when it is finished.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        key = f"{PARTIAL}/{uuid.uuid4().hex}"
        self.storage.write(b"", key)
        self.storage.delete(key)

    def put(self, files: Mapping[str, Path], *, check_existing: bool = False) -> str:
        """Store files.

        Each is written once, whichever artifacts have it; writers of the same content do not
        disturb each other. The manifest is written last.

        Args:
            files: path in the artifact -> file.
            check_existing: whether to read blobs that exist and to replace damaged ones; without
                it, only those of another size are replaced.

        Returns:
            The digest of the manifest.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        entries = [
            ArtifactFile(path=path, size=file.stat().st_size, sha256=sha256(file))
            for path, file in files.items()
        ]
        manifest = Manifest.of(entries)
        for entry in manifest.files:
            if not self._blobs.is_current(
                blob_key(entry.sha256), entry.size, entry.sha256, check_content=check_existing
            ):
                self.storage.put(files[entry.path], blob_key(entry.sha256))
                self._check_written(entry, files[entry.path])
        content, key = manifest.to_bytes(), manifest_key(manifest.digest)
        if not self._blobs.is_current(
            key, len(content), manifest.digest, check_content=check_existing
        ):
            self.storage.write(content, key)
        return manifest.digest

    def manifest(self, reference: str) -> Manifest:
        """Return the files of an artifact.

        Args:
            reference: the digest of a manifest, or the folder that release 0.1.0 recorded.

        Raises:
            MissingArtifact: the store does not have it.
            DamagedArtifact: it is malformed, or its bytes do not match the digest.
        """
        digest = self._digest_of(reference)
        if digest is None:
            return self._legacy.manifest(reference)
        if digest in self._manifests:
            return self._manifests[digest]
        try:
            manifest = Manifest.parse(self._blobs.read(manifest_key(digest)), digest)
        except MissingArtifact:
            raise MissingArtifact(
                f"artifact store {self.storage.location} has no artifact {digest}; check "
                f"registry.artifacts, or {RESTORE}"
            ) from None
        self._manifests[digest] = manifest
        return manifest

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob exists, intact or not."""
        return self.storage.stat(blob_key(digest)) is not None

    def file_digest(self, reference: str, path: str) -> str:
        """Return the SHA-256 of a file by the manifest; empty if the artifact does not have it."""
        entry = self.manifest(reference).by_path.get(path)
        return entry.sha256 if entry else ""

    def has_file(self, reference: str, path: str) -> bool:
        """Return whether a file is part of an artifact, intact or not."""
        return path in self.manifest(reference).by_path

    def file(self, reference: str, path: str) -> Path:
        """Return a file of an artifact, verified once in this process.

        Args:
            reference: the artifact.
            path: the file's path in the artifact.

        Returns:
            A file to read; it is in the store itself, or in the cache. Its name is arbitrary.

        Raises:
            MissingArtifact: the artifact does not have it, or the store does not.
            DamagedArtifact: it does not match its checksum.
        """
        if self._digest_of(reference) is None:
            return self._legacy.file(reference, path)
        entry = self.manifest(reference).by_path.get(path)
        if entry is None:
            raise MissingArtifact(f"artifact {reference} has no file {path!r}")
        return self._blob_file(entry)

    def local_folder(self, reference: str, names: Collection[str] | None = None) -> Path:
        """Return a folder with the files of an artifact, verified once in this process.

        The files are links to the store or, where it is remote, to the cache: do not write them.

        Args:
            reference: the artifact.
            names: files and folders of the artifact to provide; None: all.

        Raises:
            MissingArtifact: the store does not have a file.
            DamagedArtifact: a file does not match its checksum.
        """
        if self._digest_of(reference) is None:
            return self._legacy.folder(reference)
        manifest = self.manifest(reference)
        blobs = {
            entry.path: self._blob_file(entry)
            for entry in manifest.files
            if _is_selected(entry.path, names)
        }
        return self.cache.link_folder(manifest.digest, blobs)

    def verify(
        self,
        reference: str,
        *,
        removed: Collection[str] = (),
        intact: set[str] | None = None,
    ) -> list[str]:
        """Recompute the checksums of an artifact's files in the store.

        Args:
            reference: the artifact.
            removed: files and folders that were removed; a missing file of them is no fault.
            intact: digests of blobs that need not be read; those that are intact are added.

        Returns:
            One line for each fault; empty if there is none.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        self._manifests.clear()  # read what is stored now
        try:
            manifest = self.manifest(reference)
        except (MissingArtifact, DamagedArtifact) as error:
            return [str(error)]
        if self._digest_of(reference) is None:
            return []  # the manifest was computed from the files themselves
        faults, intact = [], set() if intact is None else intact
        for entry in manifest.files:
            if entry.sha256 in intact:
                continue
            try:
                self._blobs.check(entry)
                intact.add(entry.sha256)
            except DamagedArtifact as error:
                faults.append(str(error))
            except MissingArtifact as error:
                if not _is_selected(entry.path, removed):
                    faults.append(str(error))
        return faults

    def keys(self, reference: str, names: Collection[str] | None = None) -> set[str]:
        """Return the keys of an artifact's manifest and of its blobs.

        Args:
            reference: the artifact.
            names: files and folders of the artifact whose blobs are included; None: all.

        Raises:
            MissingArtifact: the manifest is missing.
            DamagedArtifact: the manifest is malformed.
        """
        digest = self._digest_of(reference)
        if digest is None:
            return set()  # a folder of release 0.1.0 is not among the objects
        files = self.manifest(digest).files
        blobs = {blob_key(file.sha256) for file in files if _is_selected(file.path, names)}
        return {manifest_key(digest), *blobs}

    def objects(self) -> Iterator[StoredObject]:
        """Yield every blob and manifest, and what interrupted writers left behind."""
        for prefix in (BLOBS, MANIFESTS):
            yield from self.storage.list(prefix)
        yield from self.storage.list_partial()

    def replace_legacy(self, reference: str, digest: str) -> None:
        """Let an artifact replace a folder of release 0.1.0, if the reference is of one."""
        if not is_digest(reference):
            self._legacy.record_import(reference, digest)

    @property
    def _blobs(self) -> BlobReader:
        return BlobReader(self.storage)

    @property
    def _legacy(self) -> LegacyFolders:
        return LegacyFolders(self.storage)

    def _digest_of(self, reference: str) -> str | None:
        """Return the digest of a manifest; None for a folder of release 0.1.0."""
        return reference if is_digest(reference) else self._legacy.imported_as(reference)

    def _check_written(self, entry: ArtifactFile, source: Path) -> None:
        """Check that a file was not changed while it was copied."""
        stored = self.storage.stat(blob_key(entry.sha256))
        if stored is None or stored.size != entry.size or sha256(source) != entry.sha256:
            self.storage.delete(blob_key(entry.sha256))
            raise DamagedArtifact(
                f"{source} changed while it was stored; register again when nothing writes it"
            )

    def _blob_file(self, entry: ArtifactFile) -> Path:
        """Return the verified file of a blob, in the store or in the cache."""
        path = self.storage.local_path(blob_key(entry.sha256))
        if path is None:
            return self.cache.fetch(entry, partial(self._blobs.chunks, entry), self._verified)
        if entry.sha256 not in self._verified:
            self._blobs.check(entry)
            self._verified.add(entry.sha256)
        return path


def is_remote(configured: str) -> bool:
    """Return whether `registry.artifacts` is a URL, other than that of a folder."""
    return "://" in configured and not configured.startswith("file://")


def _is_selected(path: str, names: Collection[str] | None) -> bool:
    """Return whether a file is one of the names, or below one of them."""
    return names is None or any(path == name or path.startswith(f"{name}/") for name in names)
