"""End a child process when its parent is gone, even if the parent was killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_VARIABLE = "FLANMOE_PARENT_PID"
POLL_S = 1.0


def end_with_parent() -> None:
    """Watch the process in FLANMOE_PARENT_PID, if set; kill this process group when it ends."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(POLL_S)
    # The group holds this process, the DVC process that called it, and their children.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
