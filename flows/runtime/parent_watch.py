"""End a child process when its parent is gone, even if the parent was killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil

PARENT_VARIABLE = "FLANMOE_PARENT_PID"
POLL_S = 0.25


def end_with_parent() -> None:
    """Watch the process in FLANMOE_PARENT_PID, if set; kill this process group when it ends.

    The processes that this one starts watch this one in turn.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent:
        os.environ[PARENT_VARIABLE] = str(os.getpid())
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def is_process_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if its own parent has not read its exit status."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _watch(pid: int) -> None:
    try:
        parent = psutil.Process(pid)  # from now on a later process of the same number differs
        while not is_process_gone(parent):
            time.sleep(POLL_S)
    except psutil.NoSuchProcess:
        pass
    # The group holds this process, the DVC process that called it, and their children.
    os.killpg(os.getpgrp(), signal.SIGKILL)
