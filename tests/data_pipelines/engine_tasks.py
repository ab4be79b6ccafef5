"""Task functions for the engine's tests, in a module that workers can import quickly."""

import os
import signal
from pathlib import Path


def square(number):
    return number * number


def square_after_crash(task):
    """Kill the worker at the first attempt of every fourth task, otherwise return the square.

    Args:
        task: folder for the markers of killed attempts, and the number.
    """
    folder, number = task
    marker = Path(folder) / f"crashed-{number}"
    if number % 4 == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def crash(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number):
    raise ValueError(f"no {number}")


def get_pid(_number):
    return os.getpid()
