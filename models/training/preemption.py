"""Handling of SIGTERM, which clusters send before they take a machine away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_RESUMABLE = 75
"""Exit status of a preempted run whose checkpoint is saved; the same command resumes it.

75 is EX_TEMPFAIL of sysexits.h.
"""


@contextmanager
def catch_sigterm() -> Iterator[Callable[[], bool]]:
    """Record SIGTERM instead of exiting.

    Yields:
        A function that returns whether SIGTERM has arrived.
    """
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield received.is_set  # Python delivers signals to the main thread only
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGTERM, previous)
