"""The measured peak: plausible, and independent of the global random state."""

import pytest
import torch

from models.training.peak_flops import measure_peak_flops


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_measure_peak_flops_is_plausible_and_draws_from_its_own_generator(precision):
    before = torch.get_rng_state()
    peak = measure_peak_flops(torch.device("cpu"), precision, repeats=1)
    assert 1e8 < peak < 1e15
    assert torch.equal(torch.get_rng_state(), before)
