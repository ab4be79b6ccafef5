"""End a child process when its parent is gone, even if the parent was killed with SIGKILL.

Otherwise a stage would run on, and the next run would start a second copy of it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PARENT_VARIABLE = "FLANMOE_PARENT_PID"
POLL_S = 0.25
_DVC_VARIABLE = "DVC_STAGE"
"""Set by DVC for the commands of its stages."""


def end_with_parent() -> None:
    """Watch the process that this one works for, and end when it ends.

    That is the process in FLANMOE_PARENT_PID, which has started this process group, so the group
    ends; without it the `dvc repro` that runs this stage. The processes that this one starts watch
    this one in turn.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if not parent and _DVC_VARIABLE not in os.environ:
        return  # called by hand
    if parent:
        # The group holds this process, the DVC process that called it, and their children.
        _start_watch(int(parent), lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    else:
        # A shell may lie between DVC and the stage. The group may be that of the user's shell.
        dvc = next((process for process in psutil.Process().parents() if _is_dvc(process)), None)
        if dvc is not None:
            _start_watch(dvc.pid, lambda: os.kill(os.getpid(), signal.SIGKILL))
    os.environ[PARENT_VARIABLE] = str(os.getpid())


def is_process_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if its own parent has not read its exit status."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _start_watch(pid: int, end: Callable[[], None]) -> None:
    threading.Thread(target=_watch, args=(pid, end), daemon=True).start()


def _watch(pid: int, end: Callable[[], None]) -> None:
    try:
        parent = psutil.Process(pid)  # from now on a later process of the same number differs
        while not is_process_gone(parent):
            time.sleep(POLL_S)
    except psutil.NoSuchProcess:
        pass
    end()


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return "dvc" in {Path(word).name for word in process.cmdline()[:3]}
    except psutil.Error:
        return False
