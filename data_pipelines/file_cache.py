"""What a worker has made of a file, remembered until the file changes.

Workers of a cluster outlive a run, and a file may have other content in the next one: so it is
remembered by what the file system says of it, not by its name alone.
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
    """Keeps the results of the last `maxsize` calls of a function of a file and further arguments."""

    def decorate(function: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
        def make(path: Path, _stamp: object, *args: P.args, **kwargs: P.kwargs) -> R:
            return function(path, *args, **kwargs)

        kept: Callable[..., R] = lru_cache(maxsize=maxsize)(make)

        @wraps(function)
        def call(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
            return kept(path, _stamp(path), *args, **kwargs)

        return call

    return decorate


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None  # the function itself says what is missing
    return status.st_ino, status.st_mtime_ns, status.st_size
