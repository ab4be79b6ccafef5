"""An artifact store at an fsspec URL, for example in a bucket of S3."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from registry.artifacts.storage import CHUNK_BYTES, PARTIAL, StoredObject, missing_object
from registry.errors import MissingArtifact, StoreUnavailable

_OBJECT_STORES = frozenset(
    ["s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"]
)
"""Protocols whose writes are atomic: an object exists when all of it is uploaded."""
_TIME_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")
_SECRET = re.compile(r"//[^/@\s]*@|\?\S+")


@dataclass(frozen=True)
class RemoteStorage:
    """Objects of a filesystem of fsspec."""

    filesystem: Any
    """fsspec.AbstractFileSystem, which has no types."""
    root: str
    """Path on the filesystem."""
    location: str
    """The URL, without user, password and query."""

    @classmethod
    def open(cls, url: str) -> RemoteStorage:
        """Open the storage at a URL; nothing is read or written yet.

        Raises:
            StoreUnavailable: the protocol is unknown, or its package is not installed.
        """
        shown = without_secrets(url)
        try:
            filesystem, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            cause = str(error).splitlines()[0]
            raise StoreUnavailable(f"registry.artifacts: {shown}: {cause}") from None
        except Exception as error:
            raise StoreUnavailable(
                f"registry.artifacts: {shown} is not a URL that fsspec opens: "
                f"{_describe(error, url)}; expected a folder, or a URL such as s3://bucket/folder"
            ) from None
        return cls(filesystem, root.rstrip("/"), shown)

    def put(self, source: Path, key: str) -> None:
        with self._errors(), self._target(key) as target:
            self.filesystem.put_file(str(source), target)

    def write(self, content: bytes, key: str) -> None:
        with self._errors(), self._target(key) as target:
            self.filesystem.pipe_file(target, content)

    def stat(self, key: str) -> StoredObject | None:
        with self._errors():
            try:
                # A listing that fsspec cached does not have the objects of other processes.
                self.filesystem.invalidate_cache()
                entry = self.filesystem.info(self._path(key))
            except FileNotFoundError:
                return None
            return self._object(key, entry)

    def chunks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        with (
            self._errors(),
            missing_object(self.location, key),
            self.filesystem.open(self._path(key), "rb") as file,
        ):
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def local_path(self, key: str) -> Path | None:
        return None

    def touch(self, key: str) -> bool:
        return False

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._errors():
            self.filesystem.invalidate_cache()
            entries = self.filesystem.find(self._path(prefix), detail=True)
        for path, entry in sorted(entries.items()):
            relative = self.filesystem._strip_protocol(path)[len(self.root) :].lstrip("/")
            with self._errors():
                stored = self._object(relative, entry)
            yield stored

    def list_partial(self) -> Iterator[StoredObject]:
        yield from self.list(PARTIAL)

    def delete(self, key: str) -> None:
        with self._errors():
            try:
                self.filesystem.rm_file(self._path(key))
            except FileNotFoundError:
                pass

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"

    @contextmanager
    def _target(self, key: str) -> Iterator[str]:
        """Yield the path to write to; where writes are not atomic, it is moved afterwards."""
        protocol = self.filesystem.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        target = self._path(key)
        if names & _OBJECT_STORES:
            yield target
            return
        partial = self._path(f"{PARTIAL}/{uuid.uuid4().hex}")
        for path in (partial, target):
            self.filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        yield partial
        self.filesystem.mv(partial, target)

    def _object(self, key: str, entry: dict[str, Any]) -> StoredObject:
        values = [entry[name] for name in _TIME_KEYS if entry.get(name) is not None]
        modified = values[0] if values else self.filesystem.modified(self._path(key))
        seconds = modified.timestamp() if isinstance(modified, datetime) else float(modified)
        return StoredObject(key=key, size=int(entry["size"]), modified=seconds)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Describe any failure of the filesystem in one line without secrets.

        The libraries below fsspec raise exceptions of many kinds, which share no base class.
        """
        try:
            yield
        except (StoreUnavailable, MissingArtifact):
            raise
        except Exception as error:
            raise StoreUnavailable(
                f"artifact store {self.location}: {_describe(error, self.root)}; check "
                "registry.artifacts, the credentials in the environment and the network"
            ) from None


def without_secrets(url: str) -> str:
    """Return a URL without user, password and query."""
    return _SECRET.sub(lambda match: "//***@" if match[0].startswith("//") else "", url)


def _describe(error: Exception, url: str) -> str:
    """Return an exception's first line without the URL, which may contain a password."""
    lines = str(error).replace(url, without_secrets(url)).strip().splitlines()
    text = without_secrets(lines[0]) if lines else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
