"""Out of memory."""

import pytest
import torch

from models.training.oom import is_shortage, shortage
from tests.models.training.made import PARAMS, model


def test_out_of_memory_tells_the_estimate_and_what_to_change():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_shortage(caught.value)
    assert not is_shortage(RuntimeError("shapes do not fit"))
    made = model()
    count = sum(weight.numel() for weight in made.parameters())
    told = str(shortage(made.config, PARAMS, 2))
    assert f"{count:,} parameters take weights {4 * count / 1e9:.3g} GB" in told
    assert f"optimizer {8 * count / 1e9:.3g} GB" in told  # AdamW keeps two values a weight
    for change in (
        "raise gradient_accumulation_steps",
        "activation_checkpointing: true",
        "parallel.expert_parallel_size",
        "fsdp",
    ):
        assert change in told
