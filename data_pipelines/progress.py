"""Progress bars of the stages. Under `flanmoe run` they have a channel of their own, a file.

A bar ends its line only when it closes, so an error line printed on the same stream while a bar is
open would be taken for a part of the bar. stdout and stderr therefore hold only text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakSet

from tqdm import tqdm

PROGRESS_VARIABLE = "FLANMOE_PROGRESS_FILE"
"""Environment variable with the file that receives the progress of a stage."""
NOTE = "note: "
WRITE_INTERVAL_S = 0.5

_BAR_FORMAT = "{desc}|{n_fmt}|{total_fmt}|{postfix}"
_BAR = re.compile(
    r"(?P<description>[^|]*?)(?:: )?\|(?P<completed>\d+)\|(?P<total>\d+)\|(?P<note>.*)"
)
_T = TypeVar("_T")
if TYPE_CHECKING:
    _bars: WeakSet[tqdm[Any]]
_bars = WeakSet()


@dataclass(frozen=True, kw_only=True)
class StageProgress:
    """State of a progress bar."""

    description: str
    completed: int
    total: int
    note: str


@overload
def progress_bar(iterable: Iterable[_T], **options: Any) -> tqdm[_T]: ...


@overload
def progress_bar(iterable: None = None, **options: Any) -> tqdm[Any]: ...


def progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm[Any]:
    """Return a tqdm bar that writes to FLANMOE_PROGRESS_FILE if set, otherwise to stderr.

    Args:
        iterable: values to iterate over; None: the caller updates the bar.
        options: arguments of tqdm.
    """
    channel: dict[str, Any] = {}
    path = os.environ.get(PROGRESS_VARIABLE)
    if path:
        channel = {
            "file": _ProgressFile(Path(path)),
            "bar_format": _BAR_FORMAT,
            "mininterval": WRITE_INTERVAL_S,
            "disable": False,  # TQDM_DISABLE then concerns only the bars of libraries
        }
    bar = tqdm(iterable, **{**channel, **options})
    _bars.add(bar)
    return bar


def print_note(text: str) -> None:
    """Print a line that `flanmoe run` shows at once, above any bar."""
    tqdm.write(f"{NOTE}{text}")


def close_bars() -> None:
    """Close all bars, so that the next line on the terminal is not a continuation of one."""
    for bar in list(_bars):
        bar.close()


def read_progress(path: Path) -> StageProgress | None:
    """Return the last progress that a stage wrote to a file; None if there is none."""
    try:
        match = _BAR.fullmatch(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    if match is None:
        return None
    return StageProgress(
        description=match["description"],
        completed=int(match["completed"]),
        total=int(match["total"]),
        note=match["note"].removeprefix(", "),
    )


class _ProgressFile:
    """The stream that a bar is drawn on: a file that holds only the last state of the bar."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")

    def write(self, text: str) -> None:
        """Replace the content of the file; ignore control characters alone."""
        state = text.strip()
        if not state:
            return
        with suppress(OSError):  # a full disk must not end the stage here
            self._partial.write_text(state, encoding=self.encoding)
            os.replace(self._partial, self._path)

    def flush(self) -> None:
        """Do nothing: `write` closes the file."""
