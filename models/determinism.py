"""The same numbers again: on one machine, at the same number of threads."""

from __future__ import annotations

import torch
import torch.utils.deterministic


def make_deterministic(threads: int) -> None:
    """Fixes the number of CPU threads and forbids operations whose result varies."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Every tensor here is written before it is read; filling it first would only cost time.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010
