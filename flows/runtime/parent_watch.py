"""A started process ends with the one that started it, even if that one is killed outright."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_VARIABLE = "FLANMOE_PARENT_PID"


def end_with_parent() -> None:
    """Watch the process named in FLANMOE_PARENT_PID, if any; when it is gone, end this group."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    while _alive(parent):
        time.sleep(1)
    # The group holds this process, the DVC that called it and whatever they started.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
