"""A cache of values computed from a file, invalidated when the file changes.

Workers of a cluster outlive a run, and the next run may write other content under the same name.
Therefore the cache key holds the file's inode, modification time and size, not only its path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def cached_by_file(
    *,
    maxsize: int,
) -> Callable[[Callable[Concatenate[Path, P], R]], Callable[Concatenate[Path, P], R]]:
    """Cache the last `maxsize` results of a function of a path and hashable arguments."""

    def decorate(function: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
        def compute(path: Path, _stamp: object, *args: P.args, **kwargs: P.kwargs) -> R:
            return function(path, *args, **kwargs)

        cached: Callable[..., R] = lru_cache(maxsize=maxsize)(compute)

        @wraps(function)
        def call(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
            return cached(path, _stamp(path), *args, **kwargs)

        return call

    return decorate


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None  # the decorated function raises the error for a missing file
    return status.st_ino, status.st_mtime_ns, status.st_size
