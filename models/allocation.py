"""Retain freed memory in the process instead of returning it to the system."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> bool:
    """Configure glibc to retain large freed blocks for later allocations.

    The gradients of experts are large blocks that every step allocates and frees; a new block from
    the system costs a page fault for each 4 KiB (docs/decisions/freed_memory.md).

    Returns:
        Whether the setting was applied; False without glibc, where nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
