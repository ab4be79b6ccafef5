"""Out of memory, told with what training this model takes and what to change."""

from __future__ import annotations

import torch

from models.config import ModelConfig
from models.cost import flops
from models.cost.memory import training_memory
from models.errors import OutOfMemory
from models.training.params import TrainingParams

_GIGA = 1e9


def is_shortage(error: BaseException) -> bool:
    """Whether the error says that memory ran out: on a GPU, in torch's CPU allocator, in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        told in text for told in ("out of memory", "can't allocate memory", "not enough memory")
    )


def shortage(config: ModelConfig, params: TrainingParams, world: int) -> OutOfMemory:
    """The error for the user. Its estimate leaves out activations, which grow with the batch."""
    needed = training_memory(config, params.optim.name)
    parts = {
        "weights": needed.weights,
        "gradients": needed.gradients,
        "optimizer": needed.optimizer,
        "bfloat16 copies": needed.casts if params.precision == "bfloat16" else 0,
    }
    told = ", ".join(f"{name} {size / _GIGA:.3g} GB" for name, size in parts.items() if size)
    rows = params.global_batch_size // (world * params.gradient_accumulation_steps)
    changes = []
    if rows > 1:
        changes.append(
            f"raise gradient_accumulation_steps (a process now computes {rows} rows at once)"
        )
    if not params.activation_checkpointing:
        changes.append("set activation_checkpointing: true")
    if params.optim.name == "adamw":
        changes.append("set optim.name: adafactor")
    if config.moe is not None and params.parallel.expert_parallel_size == 1:
        changes.append("spread experts over processes (parallel.expert_parallel_size)")
    if params.parallel.data_parallel != "fsdp":
        changes.append("shard weights (parallel.data_parallel: fsdp) over more processes")
    return OutOfMemory(
        f"memory ran out: {flops.parameters(config).total:,} parameters take {told}, over all "
        f"{world} process(es) together, and activations come on top. Below models.training: "
        + "; or ".join(changes)
    )
