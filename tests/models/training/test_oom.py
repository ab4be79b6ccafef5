"""Out of memory: detection and message."""

import pytest
import torch

from models.training.oom import is_out_of_memory, out_of_memory_error
from tests.models.training.factories import PARAMS, build_model


def test_is_out_of_memory_only_for_allocation_errors():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_out_of_memory_error_lists_estimate_and_remedies():
    model = build_model()
    count = sum(weight.numel() for weight in model.parameters())
    message = str(out_of_memory_error(model.config, PARAMS, 2))
    assert f"{count:,} parameters take weights {4 * count / 1e9:.3g} GB" in message
    assert f"optimizer {8 * count / 1e9:.3g} GB" in message  # two values per weight (AdamW)
    for remedy in (
        "raise gradient_accumulation_steps",
        "activation_checkpointing: true",
        "parallel.expert_parallel_size",
        "fsdp",
    ):
        assert remedy in message
