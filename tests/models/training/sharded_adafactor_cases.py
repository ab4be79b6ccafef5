"""Weights, their placement over a mesh of 2 x 2 ranks, and gradients."""

import torch

CASES = {
    "vector": ((130,), (0, 0)),
    "small_matrix": ((6, 160), (0, 1)),
    "large_matrix_by_rows": ((130, 140), (0, 0)),
    "large_matrix_by_both": ((130, 140), (0, 1)),
    "large_matrix_by_columns": ((129, 130), (1, 1)),
    "experts": ((4, 128, 130), (0, 0)),
    "experts_and_rows": ((4, 128, 130), (1, 0)),
    "experts_by_columns": ((2, 130, 129), (0, 2)),
    "small_experts": ((4, 8, 130), (1, 0)),
    "fewer_rows_than_ranks": ((3, 6), (0, 0)),
}
"""Name -> shape, and the dimension that each of the two mesh dimensions shards."""


def initial_weight(shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gradient(shape, step):
    """Gradients whose scale differs between experts and steps."""
    generator = torch.Generator().manual_seed(1 + step)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if len(shape) == 3:
        values *= (10.0 ** -torch.arange(shape[0], dtype=torch.float64))[:, None, None]
    return values * 1e-4 * (1 + step % 3)
