"""Device and precision in which a model computes, as records state them."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

_MATMUL_PRECISION = {"highest": "float32", "high": "tfloat32", "medium": "bfloat16"}
"""Setting of torch for float32 matrix products -> the precision in which they may be computed."""


def model_device(model: torch.nn.Module) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device


def model_precision(model: torch.nn.Module) -> str:
    """Return the precision of a model's matrix products, e.g. float32 or bfloat16."""
    dtype = next(model.parameters()).dtype
    if dtype == torch.float32:
        return _MATMUL_PRECISION[torch.get_float32_matmul_precision()]
    return str(dtype).removeprefix("torch.")


def processor_name(device: torch.device) -> str:
    """Return the model of the GPU or CPU, e.g. NVIDIA H100; the architecture if it is unknown."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
