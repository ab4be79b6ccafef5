"""Short measurement of the time of a training step, on random tokens."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.determinism import make_deterministic
from models.training.params import TrainingParams
from models.training.trainer import Trainer

WARMUP_STEPS = 2
MEASURED_STEPS = 5


def measure_step_seconds(
    config: ModelConfig, params: TrainingParams, *, encoder_length: int, decoder_length: int
) -> float:
    """Return the median seconds of a training step of one process.

    Args:
        config: model.
        params: batch size, precision and other settings of the training.
        encoder_length: input tokens of a packed row.
        decoder_length: target tokens of a packed row.
    """
    make_deterministic(params.threads)
    corpus = _random_corpus(config.vocab_size, params, encoder_length, decoder_length)
    times = [time.perf_counter()]
    with (
        tempfile.TemporaryDirectory(prefix="flanmoe-speed-") as folder,
        redirect_stderr(io.StringIO()),  # the bar of the training
    ):
        Trainer(
            model=T5(config).reset_parameters(0),
            corpus=corpus,
            params=params,
            steps=WARMUP_STEPS + MEASURED_STEPS,
            seed=0,
            folder=Path(folder),
        ).fit(on_step=lambda _: times.append(time.perf_counter()))
    return float(statistics.median(np.diff(times)[WARMUP_STEPS:]))


def _random_corpus(
    vocab_size: int, params: TrainingParams, encoder_length: int, decoder_length: int
) -> PackedCorpus:
    """Return a corpus of random tokens, a segment in each row."""
    generator = np.random.default_rng(0)
    rows = params.global_batch_size

    def tokens(length: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
        return generator.integers(2, vocab_size, (rows, length)).astype(np.int32)

    shard = {
        "encoder_input_tokens": tokens(encoder_length),
        "encoder_segment_ids": np.ones((rows, encoder_length), dtype=np.int32),
        "decoder_target_tokens": tokens(decoder_length),
        "decoder_segment_ids": np.ones((rows, decoder_length), dtype=np.int32),
    }
    manifest = {
        "rows": rows,
        "encoder_length": encoder_length,
        "decoder_length": decoder_length,
        "vocab_size": vocab_size,
    }
    return PackedCorpus(manifest, [shard])
