"""The training-step benchmark of `scripts/gpu_report`, on a CPU and a tiny model."""

import torch

from benchmarks.training_step_gpu import measure_training_step
from models.cost.training import training_flops
from tests.models.training.factories import build_model


def test_measure_training_step_reports_throughput_and_mfu_of_its_flops():
    config = build_model().config
    result = measure_training_step(
        "tiny", config, torch.device("cpu"), 1e12, rows=1, steps=2, warmup=1
    )
    seconds = result["step_ms"] / 1e3
    flops = training_flops(config, encoder_tokens=512, decoder_tokens=128, rows=1).total
    assert result["step_flops"] == flops
    assert abs(result["mfu"] - flops / seconds / 1e12) < 1e-3
    assert abs(result["tokens_per_second"] * seconds - 640) < 2
    assert result["last_loss"] < result["first_loss"]
