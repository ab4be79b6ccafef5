"""One file from anywhere fsspec reaches: HTTP, object stores, a local mirror.

A broken transfer goes on where it stopped, also in a later run: what has arrived stays beside the
target, with the name of the version it is of.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import fsspec

from data_pipelines.errors import SourceError

Progress = Callable[[int, int], object]
"""Called with the bytes that have arrived of a file, and its size."""

BLOCK = 1 << 20
FIRST_WAIT = 0.5


def download(location: str, target: Path, *, retries: int, progress: Progress) -> None:
    """Brings `location` to `target`, whole or not at all; a whole one of the same version stays.

    Raises SourceError when there is no such file, or when it cannot be had after `retries` more
    tries.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(retries + 1):
        try:
            _transfer(location, target, progress)
            return
        except FileNotFoundError as error:
            # fsspec says so of a server that does not answer, too; then it names the cause.
            cause = error.__cause__
            gone = getattr(cause, "status", None) in (404, 410)
            if gone or not isinstance(cause, aiohttp.ClientError | TimeoutError):
                raise SourceError(f"{location}: there is no such file") from None
            failure: Exception = cause
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
            failure = error
        if attempt < retries:
            time.sleep(FIRST_WAIT * 2**attempt)
    reason = " ".join(str(failure).split()) or type(failure).__name__
    raise SourceError(
        f"{location} could not be fetched in {retries + 1} tries ({reason}); what has arrived is "
        "kept, the same command goes on from there"
    )


def _transfer(location: str, target: Path, progress: Progress) -> None:
    # Uncached: the file may have changed, or come back, since it was last asked about.
    filesystem, path = fsspec.core.url_to_fs(location, **_options(location))
    filesystem.invalidate_cache()
    info = filesystem.info(path)
    version = _version(info)
    partial = target.with_name(target.name + ".part")
    stamp = target.with_name(target.name + ".version")
    known = stamp.read_text(encoding="utf-8") if stamp.is_file() else None
    if known != version:
        partial.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        stamp.write_text(version, encoding="utf-8")
    if target.is_file():
        progress(target.stat().st_size, target.stat().st_size)
        return
    size = int(info.get("size") or 0)
    try:
        _copy(filesystem, path, partial, BLOCK, lambda n: progress(n, size))
    except ValueError:  # what fsspec says of a web server that cannot begin in the middle of a file
        _copy(filesystem, path, partial, 0, lambda n: progress(n, size))
    if size and partial.stat().st_size != size:
        partial.unlink()
        raise OSError(f"not the {size} bytes that were announced")
    os.replace(partial, target)


def _copy(
    filesystem: Any, path: str, partial: Path, block: int, on_bytes: Callable[[int], object]
) -> None:
    """The rest of a file, or with no `block` the whole of it in one stream."""
    with filesystem.open(path, "rb", block_size=block) as remote, partial.open("ab") as file:
        at = file.tell() if block else file.truncate(0)
        if at:
            remote.seek(at)
        on_bytes(at)
        while data := remote.read(BLOCK):
            file.write(data)
            at += len(data)
            on_bytes(at)


def _options(location: str) -> dict[str, Any]:
    if location.startswith(("http://", "https://")):
        return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_connect=30, sock_read=60)}}
    return {}


def _version(info: dict[str, Any]) -> str:
    """What tells one version of a remote file from another, as far as its server says."""
    told = [info.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "size")]
    return "|".join(str(value) for value in told)
