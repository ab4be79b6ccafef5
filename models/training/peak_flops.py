"""What a device can do at most, to judge training by (MFU: Chowdhery et al., arXiv 2204.02311)."""

from __future__ import annotations

import time

import torch


def measured_peak(device: torch.device, precision: str, turns: int = 5) -> float:
    """FLOPs a second of a large matrix product in `precision`, the best of a few.

    What the device's maker promises is higher; `models.training.peak_flops` takes that instead.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    size = 8192 if device.type == "cuda" else 1024
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(turns):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best
