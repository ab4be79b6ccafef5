"""Differences of two models' scores."""

import numpy as np


def binary_differences(num_a_only, num_b_only, num_equal):
    """Return differences of items that only A, only B, or both or neither answer right."""
    return np.array([1.0] * num_a_only + [-1.0] * num_b_only + [0.0] * num_equal)
