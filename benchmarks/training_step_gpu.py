"""Training steps of published model sizes on one GPU: time, throughput, MFU and memory.

48 packed rows of 512 + 128 tokens per step, bfloat16 autocast, fused AdamW, no dropout: forward,
backward, gradient clipping and update on a batch in memory.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import numpy as np
import torch

from benchmarks.random_corpus import random_corpus
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.cost.flops import count_parameters
from models.cost.training import training_flops
from models.presets import preset
from models.training.batches import to_tensors
from models.training.distributed import DistributedContext
from models.training.loss import compute_loss
from models.training.parallel import parallelize
from models.training.params import TrainingParams

PRESETS = ("t5_base", "st_base")
ROWS, ENCODER_LENGTH, DECODER_LENGTH = 48, 512, 128
MAX_GRAD_NORM = 1.0


def without_dropout(config: ModelConfig) -> ModelConfig:
    """Return the configuration without dropout in any layer."""
    moe = config.moe and dataclasses.replace(config.moe, expert_dropout=0.0)
    return dataclasses.replace(config, dropout=0.0, moe=moe)


def measure_training_step(
    name: str,
    config: ModelConfig,
    device: torch.device,
    peak_flops: float,
    *,
    rows: int = ROWS,
    steps: int = 10,
    warmup: int = 3,
) -> dict[str, Any]:
    """Measure training steps of a model.

    Args:
        name: name of the model, for the result.
        config: model to train.
        device: device to train on.
        peak_flops: peak FLOP/s of the device, for MFU.
        rows: packed rows per step.
        steps: measured steps.
        warmup: steps before the first measured one.

    Returns:
        Median milliseconds per step, tokens per second (padding included; there is none), MFU and
        peak memory.
    """
    dist = DistributedContext(device=device)
    params = TrainingParams(global_batch_size=rows, precision="bfloat16")
    torch.manual_seed(0)
    model = T5(without_dropout(config)).reset_parameters(0).to(device).train()
    parallel_model = parallelize(model, params, dist)
    corpus = random_corpus(rows, ENCODER_LENGTH, DECODER_LENGTH, vocab_size=config.vocab_size)
    batch = to_tensors(corpus, np.arange(rows), device)

    def step() -> float:
        with torch.autocast(device.type, torch.bfloat16):
            loss = compute_loss(model, model, batch, dist=dist)
        loss.total.backward()
        grad_norm = float(parallel_model.squared_grad_norm()) ** 0.5
        if grad_norm > MAX_GRAD_NORM:
            parallel_model.scale_gradients(MAX_GRAD_NORM / (grad_norm + 1e-6))
        for optimizer in parallel_model.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return loss.total.item()  # waits for the device

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    losses, seconds = [], []
    for _ in range(warmup + steps):
        start = time.perf_counter()
        losses.append(step())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    step_s = statistics.median(seconds[warmup:])
    step_flops = training_flops(
        config, encoder_tokens=ENCODER_LENGTH, decoder_tokens=DECODER_LENGTH, rows=rows
    ).total
    is_cuda = device.type == "cuda"
    return {
        "preset": name,
        "parameters": count_parameters(config).total,
        "rows": rows,
        "encoder_length": ENCODER_LENGTH,
        "decoder_length": DECODER_LENGTH,
        "step_ms": round(1e3 * step_s, 2),
        "fastest_step_ms": round(1e3 * min(seconds[warmup:]), 2),
        "tokens_per_second": round(rows * (ENCODER_LENGTH + DECODER_LENGTH) / step_s),
        "step_flops": step_flops,
        "mfu": round(step_flops / step_s / peak_flops, 4),
        "peak_memory_gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 2)
        if is_cuda
        else None,
        "first_loss": round(losses[0], 4),
        "last_loss": round(losses[-1], 4),
    }


def measure_presets(
    device: torch.device, peak_flops: float, *, steps: int, warmup: int = 3
) -> list[dict[str, Any]]:
    """Measure every preset of PRESETS; one that runs out of memory reports that instead."""
    results = []
    for name in PRESETS:
        try:
            result = measure_training_step(
                name, preset(name), device, peak_flops, steps=steps, warmup=warmup
            )
        except torch.OutOfMemoryError as error:
            result = {"preset": name, "error": str(error).splitlines()[0]}
        results.append(result)
        torch.cuda.empty_cache()
    return results
