"""Deterministic results on one machine with a fixed number of threads."""

from __future__ import annotations

import torch
import torch.utils.deterministic


def make_deterministic(threads: int) -> None:
    """Set the number of CPU threads and forbid nondeterministic operations."""
    torch.set_num_threads(threads)
    # As `use_deterministic_algorithms(True)`, which imports the whole compiler besides.
    torch.set_deterministic_debug_mode("error")
    # This project reads no uninitialized memory, so filling new tensors only costs time.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010
