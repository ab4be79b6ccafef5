"""Measured peak FLOP/s of a device: the denominator of MFU (PaLM, arXiv 2204.02311, appendix B)."""

from __future__ import annotations

import time

import torch


def measure_peak_flops(device: torch.device, precision: str, repeats: int = 5) -> float:
    """Measure the FLOP/s of a large square matrix product.

    The factors are random: constant data switches fewer transistors, so a GPU under a power limit
    would run faster than it can with real data. The figure is below the vendor's; set
    `models.training.peak_flops` to use another.

    Args:
        device: device to measure.
        precision: bfloat16 or float32.
        repeats: products to time.

    Returns:
        FLOP/s of the fastest product, one multiply-add counted as 2 FLOPs.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    size = 8192 if device.type == "cuda" else 1024
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(size, size, device=device, generator=generator).to(dtype) for _ in range(2))
    fastest_s = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for the device
        fastest_s = min(fastest_s, time.perf_counter() - start)
    return 2 * size**3 / fastest_s
