"""Speed of training: against a plain training step, and against Hugging Face's Trainer.

    python -m benchmarks.training --quick
    python -m benchmarks.training --json figures.json

Uses data/packed/train of the project (`make run`, or `flanmoe run`); without it, random rows of the
same lengths. The model is dense, or has 8 experts in every second layer; d_model 256, 4 + 4 layers,
ReLU; 16 rows per step. `--quick` measures a smaller model for fewer steps.

- end_to_end: steps of the trainer, data loading and logging included, against forward, backward,
  clipping and AdamW on a batch in memory; interleaved, medians of steps.
- packing: share of tokens that are not padding in packed rows, and in rows of one example padded to
  the longest of the batch.
- hugging_face: Hugging Face's Trainer with T5 and SwitchTransformers of the same sizes, on the same
  packed rows (where examples attend to each other, as transformers' T5 has no segments), and on
  padded rows.
- checkpoints: steps with one asynchronous checkpoint, against the same number without.
- world_sizes: rows per second on one and two gloo ranks of one thread.
- experts: step time relative to the dense model, by number of experts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.hugging_face_trainer import PackedRows, PaddedExamples, time_hugging_face_steps
from benchmarks.random_corpus import random_corpus, useful_tokens
from benchmarks.timing import machine_info, start_benchmark, write_figures
from benchmarks.training_sizes import FULL, QUICK, ROWS, BenchmarkSize
from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.training.batches import to_tensors
from models.training.distributed import DistributedContext, init_distributed
from models.training.loss import compute_loss
from models.training.parallel import parallelize
from models.training.params import CheckpointParams, ParallelParams, TrainingParams
from models.training.trainer import Trainer

WARMUP_STEPS = 2
PACKED = Path("data/packed/train")


def main() -> None:
    """Measure, print, and write the figures if requested."""
    if sys.argv[1:2] == ["--child"]:
        _time_parallel_steps(json.loads(sys.argv[2]))
        return
    turns, options = start_benchmark(__doc__)
    size = QUICK if options.quick else FULL
    corpus = open_corpus()
    sections: dict[str, Callable[[], Any]] = {
        "packing": lambda: packing(corpus),
        "end_to_end": lambda: {
            name: end_to_end(config, corpus, turns, size.steps)
            for name, config in (("dense", size.dense()), ("moe", size.sparse()))
        },
        "hugging_face": lambda: {
            name: hugging_face(config, corpus, turns, size.steps)
            for name, config in (("t5", size.dense()), ("switch", size.sparse()))
        },
        "checkpoints": lambda: checkpoints(size, corpus),
        "world_sizes": lambda: world_sizes(size, options.quick),
        "experts": lambda: experts(size, corpus),
    }
    figures: dict[str, Any] = {
        "machine": machine_info("torch", "transformers", "accelerate"),
        "corpus": str(PACKED) if PACKED.is_dir() else "random rows",
    }
    for name, measure in sections.items():
        figures[name] = measure()
        print(json.dumps({name: figures[name]}, indent=1), flush=True)
        write_figures(figures, options.json)


def open_corpus() -> PackedCorpus:
    """Open the project's packed mixture, or build random rows of the same lengths."""
    return PackedCorpus.open(PACKED) if PACKED.is_dir() else random_corpus(1024, 128, 48)


def build_trainer(
    config: ModelConfig,
    corpus: PackedCorpus,
    folder: str,
    dist: DistributedContext | None = None,
    **changes: Any,
) -> Trainer:
    """Build a trainer of an endless run; `changes` are fields of TrainingParams."""
    params = TrainingParams(
        **{
            "global_batch_size": ROWS,
            "threads": torch.get_num_threads(),
            "checkpoint": CheckpointParams(save_every=10**6),
            **changes,
        }
    )
    return Trainer(
        model=T5(config).reset_parameters(0),
        corpus=corpus,
        params=params,
        steps=10**6,
        seed=0,
        folder=Path(folder),
        dist=dist,
    )


class _EnoughSteps(Exception):
    """Raised by `on_step` to end a run of the trainer."""


def time_steps(trainer: Trainer, steps: int, warmup: int = WARMUP_STEPS) -> list[float]:
    """Return the seconds of each step, from the end of a step to the end of the next."""
    ends: list[float] = []

    def on_step(_: int) -> None:
        ends.append(time.perf_counter())
        if len(ends) > steps + warmup:
            raise _EnoughSteps

    try:
        trainer.fit(on_step=on_step)
    except _EnoughSteps:
        pass
    return list(np.diff(ends))[warmup - 1 :]


def end_to_end(
    config: ModelConfig, corpus: PackedCorpus, turns: int, steps: int
) -> dict[str, float]:
    """Compare steps of the trainer with plain steps on one batch."""
    trainer_seconds: list[float] = []
    plain_seconds: list[float] = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            trainer_seconds += time_steps(build_trainer(config, corpus, folder), steps)
        plain_seconds += time_plain_steps(config, corpus, steps)
    trainer, plain = statistics.median(trainer_seconds), statistics.median(plain_seconds)
    return {
        "trainer_ms": 1e3 * trainer,
        "plain_step_ms": 1e3 * plain,
        "relative_speed": plain / trainer,
    }


def time_plain_steps(config: ModelConfig, corpus: PackedCorpus, steps: int) -> list[float]:
    """Return the seconds of forward, backward, clipping and AdamW on a batch in memory."""
    params = TrainingParams(global_batch_size=ROWS)
    model = T5(config).reset_parameters(0).train()
    (optimizer,) = parallelize(model, params, DistributedContext()).optimizers
    batch = to_tensors(corpus, np.arange(ROWS))
    for name in ("encoder_input_tokens", "decoder_target_tokens", "decoder_input_tokens"):
        batch[name] = torch.randint(2, 1000, batch[name].shape)
    seconds = []
    for _ in range(steps + WARMUP_STEPS):
        start = time.perf_counter()
        compute_loss(model, model, batch).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return seconds[WARMUP_STEPS:]


def packing(corpus: PackedCorpus) -> dict[str, float]:
    """Compare the share of tokens that are not padding, encoder and decoder together."""
    total = 0
    lengths: list[tuple[int, int]] = []
    for shard in corpus.shards:
        total += shard["encoder_segment_ids"].size + shard["decoder_segment_ids"].size
        for source, target in zip(
            shard["encoder_segment_ids"], shard["decoder_segment_ids"], strict=True
        ):
            sizes = np.bincount(source)[1:], np.bincount(target, minlength=source.max() + 1)[1:]
            lengths += list(zip(*(size.tolist() for size in sizes), strict=True))
    order = np.random.default_rng(0).permutation(len(lengths))
    padded = 0
    for start in range(0, len(order), ROWS):
        batch = [lengths[i] for i in order[start : start + ROWS]]
        padded += len(batch) * (max(a for a, _ in batch) + max(b for _, b in batch))
    useful = useful_tokens(corpus)
    return {
        "packed_useful_share": useful / total,
        "padded_useful_share": useful / padded,
        "ratio": padded / total,
    }


def checkpoints(size: BenchmarkSize, corpus: PackedCorpus) -> dict[str, float]:
    """Compare steps during which a checkpoint is written with the same number of steps without.

    Both halves alternate within one run, so that noise of the machine affects both.
    """
    steps, pairs = size.checkpoint_steps, size.checkpoint_pairs
    params = CheckpointParams(save_every=2 * steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(size.sparse(), corpus, folder, checkpoint=params)
        # The first step that is timed is the one that starts a checkpoint.
        seconds = np.array(time_steps(trainer, 2 * steps * pairs, warmup=2 * steps - 1)[:-1])
    halves = seconds.reshape(pairs, 2, steps).sum(2)
    return {
        "steps": steps,
        "seconds_without_checkpoint": statistics.median(halves[:, 1]),
        "seconds_with_checkpoint": statistics.median(halves[:, 0]),
        "overhead": statistics.median(halves[:, 0] / halves[:, 1]) - 1,
    }


def hugging_face(
    config: ModelConfig, corpus: PackedCorpus, turns: int, steps: int
) -> dict[str, float]:
    """Compare with Hugging Face's Trainer on the same packed rows, and on padded rows."""
    packed, padded = PackedRows(corpus), PaddedExamples(corpus, ROWS)
    seconds: dict[str, list[float]] = {"trainer": [], "packed": [], "padded": []}
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            seconds["trainer"] += time_steps(build_trainer(config, corpus, folder), steps)
        for name, rows in (("packed", packed), ("padded", padded)):
            batch_size = ROWS if rows is packed else padded.batch_size
            collate = None if rows is packed else padded.collate
            with tempfile.TemporaryDirectory() as folder:
                seconds[name] += time_hugging_face_steps(
                    config, rows, folder, steps, batch_size, collate
                )
    trainer, hf_packed, hf_padded = (statistics.median(values) for values in seconds.values())
    tokens_per_second = useful_tokens(corpus) / len(corpus) * ROWS / trainer
    return {
        "trainer_ms": 1e3 * trainer,
        "hf_packed_ms": 1e3 * hf_packed,
        "hf_padded_ms": 1e3 * hf_padded,
        "useful_tokens_per_second": tokens_per_second,
        "speedup_packed": hf_packed / trainer,
        "speedup_padded": tokens_per_second / (padded.mean_useful_tokens() / hf_padded),
    }


def world_sizes(size: BenchmarkSize, quick: bool) -> list[dict[str, Any]]:
    """Measure rows per second on one and two gloo ranks of one thread each."""
    results = []
    for data_parallel, expert_parallel_size, world_size, rows in size.parallel:
        job = {
            "data_parallel": data_parallel,
            "expert_parallel_size": expert_parallel_size,
            "global_batch_size": rows,
        }
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
            str(world_size), "-m", "benchmarks.training", "--child",
            json.dumps(job | {"quick": quick}),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        )  # fmt: skip
        seconds = float(done.stdout.strip().splitlines()[-1])
        results.append({**job, "world_size": world_size, "rows_per_second": rows / seconds})
    for result in results:
        result["speedup"] = result["rows_per_second"] / results[0]["rows_per_second"]
    return results


def _time_parallel_steps(job: dict[str, Any]) -> None:
    """Print the median seconds of a step; one rank of `world_sizes`."""
    torch.set_num_threads(1)
    size = QUICK if job["quick"] else FULL
    with init_distributed(120) as dist, tempfile.TemporaryDirectory() as folder:
        shared_folder = [folder]
        if dist.world_size > 1:
            torch.distributed.broadcast_object_list(shared_folder)
        parallel = ParallelParams(
            data_parallel=job["data_parallel"], expert_parallel_size=job["expert_parallel_size"]
        )
        trainer = build_trainer(
            size.sparse(), open_corpus(), shared_folder[0], dist,
            global_batch_size=job["global_batch_size"], parallel=parallel,
        )  # fmt: skip
        seconds = statistics.median(time_steps(trainer, size.steps))
        dist.barrier()
        if dist.is_main:
            print(seconds, flush=True)


def experts(size: BenchmarkSize, corpus: PackedCorpus) -> list[dict[str, float]]:
    """Compare step times with the dense model's; FLOPs per token are the same."""
    seconds: dict[int, list[float]] = {0: [], **{number: [] for number in size.num_experts}}
    for _ in range(2):
        for number, values in seconds.items():
            config = size.sparse(number) if number else size.dense()
            with tempfile.TemporaryDirectory() as folder:
                values += time_steps(build_trainer(config, corpus, folder), size.steps)
    medians = {number: statistics.median(values) for number, values in seconds.items()}
    return [
        {"num_experts": number, "step_ms": 1e3 * median, "relative_to_dense": median / medians[0]}
        for number, median in medians.items()
        if number
    ]


if __name__ == "__main__":
    main()
