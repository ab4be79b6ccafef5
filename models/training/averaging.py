"""Checkpoint averaging: the mean of the weights of several checkpoints of a run.

FLAN-MoE (arXiv 2305.14705, ablations) near the end of training. Stacked experts are averaged as
they lie: expert i of one checkpoint is the same expert in the next.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.training.checkpoint import read_tensors


def average(folders: list[Path], weights: dict[str, Tensor], *, alone: bool = True) -> None:
    """Sets `weights`, sharded or not, to the mean of those in `folders`; summed in float64."""
    means = {name: torch.zeros_like(w, dtype=torch.float64) for name, w in weights.items()}
    for folder in folders:
        read_tensors(folder, weights, alone=alone)
        for name, weight in weights.items():
            means[name] += weight.double() / len(folders)
    for name, weight in weights.items():
        weight.copy_(means[name])
