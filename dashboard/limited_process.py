"""`python -m dashboard.limited_process PARENT MEMORY_MB MODULE …`: run a module with limits.

The limits are set here and not between fork and exec, where a process with threads may hang.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Limit the memory of this process, end it with its parent, and become the module."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the dashboard has ended")
    limit = int(sys.argv[2]) * 1024**2
    # Of data: address space is no measure, because torch reserves far more than it uses.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.execv(sys.executable, [sys.executable, "-P", "-m", *sys.argv[3:]])


if __name__ == "__main__":
    main()
