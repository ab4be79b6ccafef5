"""Output that nobody reads any more: a run outlives the worker, or the pipe, that reads it."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.console import Console


def discard_lost_output() -> None:
    """Let this process go on when the reader of its output ends.

    Prefect's log and the display print through rich, which otherwise ends the process.
    """
    Console.on_broken_pipe = _redirect_to_nowhere  # type: ignore[method-assign,assignment]


def _redirect_to_nowhere(_console: Console) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):  # stdout and stderr
            os.dup2(nowhere, number)
        os.close(nowhere)
