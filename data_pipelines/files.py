"""File hashes and atomic writes: files are written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys, so equal content has an equal hash."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically; create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def read_json_lines(path: Path) -> tuple[list[Any], int]:
    """Read a JSON-lines file up to its first incomplete or invalid line.

    A process that is killed while it writes may leave an incomplete last line.

    Returns:
        The values of the complete lines, and the size of these lines in bytes; an empty list and 0
        if the file does not exist.
    """
    values: list[Any] = []
    complete_bytes = 0
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                try:
                    values.append(json.loads(line))
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    values.pop()
                    break
                complete_bytes += len(line)
    return values, complete_bytes


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write a JSON-lines file atomically."""
    write_bytes(path, "".join(json.dumps(value) + "\n" for value in values).encode())


def append_json_line(path: Path, value: Any) -> None:
    """Append one JSON line and flush it to disk."""
    with path.open("ab") as file:
        file.write(json.dumps(value).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the block ends without an error."""
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`, emptied first; it is removed when the block ends."""
    scratch = path.with_name(path.name + ".scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
