"""An artifact store in a folder, which several users of a group may share.

Permissions do not depend on the umask of the process that writes: folders have those of the
store's folder (0750 where this module creates it; an administrator may choose others, such as
2770 for a group that writes), and files are readable by owner and group, and by others if the
store's folder is. Nothing changes the set-group-ID bit: new folders inherit it and the group from
their parent. Files are read-only, as their content is what their name says.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry.artifacts.storage import CHUNK_BYTES, PARTIAL, StoredObject, missing_object
from registry.errors import StoreUnavailable

_FOLDER_MODE = 0o750
_FILE_MODE = 0o440
_PERMISSIONS = 0o777
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class LocalStorage:
    """Objects as files below a folder, written beside their place and renamed."""

    root: Path

    @property
    def location(self) -> str:
        return str(self.root)

    def put(self, source: Path, key: str) -> None:
        with self._written(key) as target, source.open("rb") as file:
            shutil.copyfileobj(file, target, 2**20)

    def write(self, content: bytes, key: str) -> None:
        with self._written(key) as target:
            target.write(content)

    def stat(self, key: str) -> StoredObject | None:
        with self._errors():
            try:
                status = (self.root / key).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return StoredObject(key=key, size=status.st_size, modified=status.st_mtime)

    def chunks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        with (
            self._errors(),
            missing_object(self.location, key),
            (self.root / key).open("rb") as file,
        ):
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def local_path(self, key: str) -> Path | None:
        return self.root / key

    def touch(self, key: str) -> bool:
        try:
            os.utime(self.root / key)
        except OSError:  # another user of the group owns the file
            return False
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        for folder, _, names in os.walk(self.root / prefix, onerror=self._on_walk_error):
            for name in sorted(names):
                key = (Path(folder) / name).relative_to(self.root).as_posix()
                entry = self.stat(key)
                if entry is not None:
                    yield entry

    def list_partial(self) -> Iterator[StoredObject]:
        yield from self.list(PARTIAL)

    def delete(self, key: str) -> None:
        with self._errors():
            (self.root / key).unlink(missing_ok=True)

    @contextmanager
    def _written(self, key: str) -> Iterator[BinaryIO]:
        """Yield a file that becomes the object when the block ends without an exception."""
        target, folder = self.root / key, self.root / PARTIAL
        with self._errors():
            self._create_root()
            self._create_folders(target.parent)
            self._create_folders(folder)
            descriptor, partial = tempfile.mkstemp(dir=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(descriptor)
                    others = self.root.stat().st_mode & stat.S_IROTH
                    os.fchmod(descriptor, _FILE_MODE | others)
                os.rename(partial, target)
            finally:
                Path(partial).unlink(missing_ok=True)

    def _create_root(self) -> None:
        if self.root.is_dir():
            return
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self._create(self.root, _FOLDER_MODE)

    def _create_folders(self, folder: Path) -> None:
        """Create the folders between the root and `folder`, with the root's permissions."""
        mode = self.root.stat().st_mode & _PERMISSIONS
        parts = folder.relative_to(self.root).parts
        for end in range(1, len(parts) + 1):
            self._create(self.root.joinpath(*parts[:end]), mode)

    def _create(self, folder: Path, mode: int) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        # The set-group-ID bit is inherited; chmod without it would remove it.
        folder.chmod(mode | folder.stat().st_mode & ~_PERMISSIONS & 0o7777)

    def _on_walk_error(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise self._unavailable(error)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Describe an error of the filesystem in one line, with what to do."""
        try:
            yield
        except OSError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        where = f"artifact store {self.root}"
        if error.errno in _FULL:
            return StoreUnavailable(
                f"{where}: {error.strerror}; free space with `flanmoe registry gc`, or set "
                "registry.artifacts to a folder on a larger disk"
            )
        if error.errno in _READ_ONLY:
            return StoreUnavailable(
                f"{where}: {error.filename or self.root}: {error.strerror}; get access to it, or "
                "set registry.artifacts to a folder that you may write"
            )
        return StoreUnavailable(
            f"{where}: {error.filename or self.root}: {error.strerror or error}; correct "
            "registry.artifacts"
        )
