"""The measurements of a training."""

import torch

from models.training.execution_record import execution_record
from models.training.result import Progress


def test_execution_record_mfu_is_over_the_peak_of_all_ranks():
    progress = Progress(step=20, seconds=4.0, resumed_from_step=10)
    record = execution_record(
        progress, weights_sha256="1", training_flops=8e9, peak_flops=2e9, commit="c",
        device=torch.device("cpu"), world_size=2,
    )  # fmt: skip
    assert (record.training_seconds, record.flops_per_second, record.mfu) == (4.0, 2e9, 0.5)
    assert (record.device, record.resumed_from_step) == ("cpu", 10)
    assert record.processor
