"""The output of a running stage in Prefect's log of its task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 1.0
MAX_LINES = 5000
"""Lines of a stage that Prefect stores; the log file has all."""
MAX_LENGTH = 2000


@contextmanager
def forward_output(
    log: Path, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
) -> Iterator[None]:
    """Send the lines that are written to a stage's log file during the block to a logger.

    Args:
        log: the log file; it is rewritten when the stage starts, and stays as it is if DVC does
            not run.
        logger: logger of the task run.
    """
    follower = _Follower(log, logger)
    stopping = threading.Event()

    def follow() -> None:
        while not stopping.wait(POLL_S):
            follower.read()

    thread = threading.Thread(target=follow, name=f"follow-{log.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        follower.read()


class _Follower:
    """Reads what was appended to a file since the last call."""

    def __init__(
        self, log: Path, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    ) -> None:
        self.log, self.logger = log, logger
        self.time_before = _modified(log)
        self.position = self.num_lines = 0
        self.remainder = ""

    def read(self) -> None:
        if _modified(self.log) == self.time_before:
            return  # of an earlier run
        with self.log.open("rb") as file:
            file.seek(self.position)
            content = file.read()
        self.position += len(content)
        *lines, self.remainder = (self.remainder + content.decode("utf-8", "replace")).split("\n")
        for line in lines:
            self.num_lines += 1
            if self.num_lines <= MAX_LINES:
                self.logger.info("%s", line[:MAX_LENGTH])
            elif self.num_lines == MAX_LINES + 1:
                self.logger.warning("more than %d lines; %s has all", MAX_LINES, self.log)


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
