"""Out of memory: detection, and an error with the memory estimate and remedies."""

from __future__ import annotations

import torch

from models.config import ModelConfig
from models.cost.flops import count_parameters
from models.cost.memory import training_memory
from models.errors import OutOfMemory
from models.training.params import TrainingParams

_GB = 1e9
_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out on a GPU, in torch's CPU allocator or in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _PHRASES)


def out_of_memory_error(
    config: ModelConfig, params: TrainingParams, world_size: int
) -> OutOfMemory:
    """Build the error for the user.

    Args:
        config: model that is trained.
        params: its training settings.
        world_size: ranks that share the memory.

    Returns:
        An error with the memory of weights, gradients and optimizer, and the settings that reduce
        it. Activations are not estimated, because they grow with the batch.
    """
    memory = training_memory(config, params.optim.name)
    bytes_by_part = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimizer": memory.optimizer,
        "bfloat16 copies": memory.bfloat16_weights if params.precision == "bfloat16" else 0,
    }
    estimate = ", ".join(f"{name} {n / _GB:.3g} GB" for name, n in bytes_by_part.items() if n)
    rows = params.global_batch_size // (world_size * params.gradient_accumulation_steps)
    remedies = []
    if rows > 1:
        remedies.append(
            f"raise gradient_accumulation_steps (a microbatch has {rows} rows on each rank)"
        )
    if not params.activation_checkpointing:
        remedies.append("set activation_checkpointing: true")
    if params.optim.name == "adamw":
        remedies.append("set optim.name: adafactor")
    if config.moe is not None and params.parallel.expert_parallel_size == 1:
        remedies.append("distribute experts over ranks (parallel.expert_parallel_size)")
    if params.parallel.data_parallel != "fsdp":
        remedies.append("shard weights (parallel.data_parallel: fsdp) over more ranks")
    return OutOfMemory(
        f"out of memory: {count_parameters(config).total:,} parameters take {estimate}, summed "
        f"over {world_size} rank(s), plus activations; below models.training: "
        + "; or ".join(remedies)
    )
