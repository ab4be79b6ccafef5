"""SIGTERM, as sent before a machine is taken away: remembered, not obeyed at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESUME = 75
"""Exit status of a run that was asked to stop and has saved: start it again (EX_TEMPFAIL)."""


@contextmanager
def noticing() -> Iterator[Callable[[], bool]]:
    """Inside, SIGTERM only makes the function given return True."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # signals reach the main thread only
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
