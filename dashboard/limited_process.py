"""`python -m dashboard.limited_process MEMORY_MB MODULE …`: run a module with limited memory.

The limit is set here and not between fork and exec, where a process with threads may hang.
"""

from __future__ import annotations

import os
import resource
import sys


def main() -> None:
    """Limit the memory of this process, and become the module."""
    limit = int(sys.argv[1]) * 1024**2
    # Of data: address space is no measure, because torch reserves far more than it uses.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.execv(sys.executable, [sys.executable, "-P", "-m", *sys.argv[2:]])


if __name__ == "__main__":
    main()
