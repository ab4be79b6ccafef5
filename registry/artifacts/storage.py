"""Where the objects of an artifact store are: the operations that every kind of storage has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.errors import MissingArtifact


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of a storage."""

    key: str
    """Path relative to the storage, with forward slashes."""
    size: int
    """In bytes."""
    modified: float
    """Unix time of its last writing, in seconds."""


CHUNK_BYTES = 2**22
"""Bytes that are read at a time."""
PARTIAL = ".partial"
"""Folder of files that are being written."""


@contextmanager
def missing_object(location: str, key: str) -> Iterator[None]:
    """Report an object that does not exist.

    Raises:
        MissingArtifact: the block raised FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError:
        raise MissingArtifact(f"{location}/{key} is missing") from None


class Storage(Protocol):
    """Objects by key; writing one is atomic.

    Every method raises StoreUnavailable if the storage cannot be read or written.
    """

    @property
    def location(self) -> str:
        """Path or URL for messages, without secrets."""

    def put(self, source: Path, key: str) -> None:
        """Write a file; an object of the same key is replaced."""

    def write(self, content: bytes, key: str) -> None:
        """Write an object; one of the same key is replaced."""

    def stat(self, key: str) -> StoredObject | None:
        """Return an object's size and time; None if it does not exist."""

    def chunks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of an object from an offset on.

        Raises:
            MissingArtifact: it does not exist.
        """

    def local_path(self, key: str) -> Path | None:
        """Return the file of an object; None if objects are not files of this machine."""

    def touch(self, key: str) -> bool:
        """Set an object's time to now; return False if only writing it again can do that."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with the folder `prefix`."""

    def list_partial(self) -> Iterator[StoredObject]:
        """Yield the files that interrupted writers left behind."""

    def delete(self, key: str) -> None:
        """Delete an object; one that does not exist is ignored."""
