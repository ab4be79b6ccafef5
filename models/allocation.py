"""Memory that a step gives back is kept for the next one."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> bool:
    """Tells the C library not to return large blocks to the system; whether it could be told.

    Gradients of experts are large, and asked for and freed in every step. A block fresh from the
    system costs a page fault for each 4 KiB of it, several times what filling it costs. Linux with
    glibc only; elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
