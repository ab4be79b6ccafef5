"""Download one file from any location that fsspec supports: HTTP, object stores, local folders.

Interrupted downloads resume, also in a later run: `NAME.part` next to the target has the received
bytes, and `NAME.version` identifies the version of the remote file.
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

ProgressCallback = Callable[[int, int], object]
"""Called with the number of received bytes and the size of the file in bytes, 0 if unknown."""

BLOCK_BYTES = 1 << 20
FIRST_RETRY_DELAY_S = 0.5


def download(location: str, target: Path, *, retries: int, on_progress: ProgressCallback) -> None:
    """Download a file, resuming an interrupted download.

    `target` is created only when the download is complete. A complete target of the same version
    is not downloaded again.

    Args:
        location: path or URL, as fsspec accepts it.
        target: the file to write.
        retries: number of attempts after the first; the delay doubles after each.
        on_progress: called as bytes arrive.

    Raises:
        SourceError: The file does not exist, or all attempts failed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(retries + 1):
        try:
            _transfer(location, target, on_progress)
            return
        except FileNotFoundError as error:
            # fsspec also raises FileNotFoundError, with the network error as its cause, if the
            # server does not respond.
            cause = error.__cause__
            is_missing = getattr(cause, "status", None) in (404, 410)
            if is_missing or not isinstance(cause, aiohttp.ClientError | TimeoutError):
                raise SourceError(f"{location} does not exist") from None
            failure: Exception = cause
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
            failure = error
        if attempt < retries:
            time.sleep(FIRST_RETRY_DELAY_S * 2**attempt)
    reason = " ".join(str(failure).split()) or type(failure).__name__
    raise SourceError(
        f"{location}: download failed after {retries + 1} attempts ({reason}); run the same "
        "command again to resume"
    )


def _transfer(location: str, target: Path, on_progress: ProgressCallback) -> None:
    # Without fsspec's cache: the file may have changed or reappeared since the last attempt.
    filesystem, path = fsspec.core.url_to_fs(location, **_options(location))
    filesystem.invalidate_cache()
    info = filesystem.info(path)
    version = _version(info)
    partial = target.with_name(target.name + ".part")
    version_file = target.with_name(target.name + ".version")
    local_version = version_file.read_text(encoding="utf-8") if version_file.is_file() else None
    if local_version != version:
        partial.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        version_file.write_text(version, encoding="utf-8")
    if target.is_file():
        on_progress(target.stat().st_size, target.stat().st_size)
        return
    size = int(info.get("size") or 0)
    try:
        _append(filesystem, path, partial, BLOCK_BYTES, lambda n: on_progress(n, size))
    except ValueError:  # raised by fsspec if the server does not support range requests
        _append(filesystem, path, partial, 0, lambda n: on_progress(n, size))
    if size and partial.stat().st_size != size:
        partial.unlink()
        raise OSError(f"size differs from the announced {size} bytes")
    os.replace(partial, target)


def _append(
    filesystem: Any, path: str, partial: Path, block_size: int, on_bytes: Callable[[int], object]
) -> None:
    """Append the missing bytes of a remote file to `partial`.

    With `block_size` 0 the file is streamed from its start, for servers without range requests.
    """
    with filesystem.open(path, "rb", block_size=block_size) as remote, partial.open("ab") as file:
        position = file.tell() if block_size else file.truncate(0)
        if position:
            remote.seek(position)
        on_bytes(position)
        while data := remote.read(BLOCK_BYTES):
            file.write(data)
            position += len(data)
            on_bytes(position)


def _options(location: str) -> dict[str, Any]:
    if location.startswith(("http://", "https://")):
        return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_connect=30, sock_read=60)}}
    return {}


def _version(info: dict[str, Any]) -> str:
    """Return an identifier of a remote file's version, from the fields that its server reports."""
    values = [info.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "size")]
    return "|".join(str(value) for value in values)
