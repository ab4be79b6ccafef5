"""Blobs and manifests in a storage: their keys, and the checksums of their content."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from registry.artifacts.manifest import ArtifactFile
from registry.artifacts.storage import Storage
from registry.errors import DamagedArtifact, MissingArtifact

BLOBS, MANIFESTS = "blobs", "manifests"
REFRESH_AGE_S = 6 * 3600.0
"""Age from which an existing object is renewed when it is stored again, so that `gc`, which deletes
only older objects, does not delete it before its version is registered."""
RESTORE = (
    "restore it with `flanmoe registry register FOLDER`, where FOLDER is the folder of the run "
    "(`dvc checkout` restores that)"
)


def blob_key(digest: str) -> str:
    """Return the key of a blob with this SHA-256."""
    return f"{BLOBS}/{digest[:2]}/{digest}"


def manifest_key(digest: str) -> str:
    """Return the key of a manifest with this SHA-256."""
    return f"{MANIFESTS}/{digest[:2]}/{digest}"


@dataclass(frozen=True)
class BlobReader:
    """Reads the objects of a storage; errors name the file of the artifact."""

    storage: Storage

    def is_current(self, key: str, size: int, digest: str, *, check_content: bool) -> bool:
        """Return whether an object exists and needs no writing; renew its time.

        Args:
            key: the object.
            size: its expected size, in bytes.
            digest: its expected SHA-256.
            check_content: whether to read the object and compare its SHA-256.
        """
        stored = self.storage.stat(key)
        if stored is None or stored.size != size:
            return False
        if check_content and self.digest(key) != digest:
            return False
        return time.time() - stored.modified < REFRESH_AGE_S or self.storage.touch(key)

    def check(self, entry: ArtifactFile) -> None:
        """Check the content of a blob.

        Raises:
            MissingArtifact: it does not exist.
            DamagedArtifact: it does not match its checksum.
        """
        digest = hashlib.sha256()
        for chunk in self.chunks(entry):
            digest.update(chunk)
        if digest.hexdigest() != entry.sha256:
            raise DamagedArtifact(
                f"{self.storage.location}/{blob_key(entry.sha256)}: {entry.path} does not match "
                f"its checksum, so it is truncated or changed; {RESTORE}"
            )

    def chunks(self, entry: ArtifactFile, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob from an offset on.

        Raises:
            MissingArtifact: it does not exist.
        """
        key = blob_key(entry.sha256)
        try:
            yield from self.storage.chunks(key, offset)
        except MissingArtifact:
            raise MissingArtifact(
                f"artifact store {self.storage.location}: {entry.path} ({key}) is missing; "
                f"{RESTORE}"
            ) from None

    def digest(self, key: str) -> str:
        """Return the SHA-256 of an object."""
        digest = hashlib.sha256()
        for chunk in self.storage.chunks(key):
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, key: str) -> bytes:
        """Return the bytes of a small object."""
        return b"".join(self.storage.chunks(key))
