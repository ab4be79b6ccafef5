"""Speed of training as a whole, against its own bare step and against Hugging Face's Trainer.

    python -m benchmarks.training --quick
    python -m benchmarks.training --json figures.json

Needs data/packed of the project (`make run`, or `flanmoe run`). The model is dense or has 8 experts
in every second layer; d_model 256, 4 + 4 layers, ReLU; 16 rows a step.
- end to end: steps of the trainer, rows read and logged, against forward, backward, clipping and
  AdamW on one synthetic batch of the same shape. In turns, medians of steps.
- packing: useful tokens among all, of packed rows and of one example a row, padded to the longest
  of its batch, over the whole corpus.
- checkpoints: time of 50 steps with one asynchronous checkpoint, and of the 50 after, without.
- Hugging Face: its Trainer with T5 and SwitchTransformers of the same sizes on the same rows
  (their examples see each other there: transformers' T5 has no segments), and as it is meant to be
  used, one example a row, padded; in turns.
- growth: processes (gloo, one thread each), and experts.
"""

from __future__ import annotations

import dataclasses
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

from benchmarks.timing import begin, machine, write
from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.training.batches import to_tensors
from models.training.distributed import Group, join
from models.training.loss import compute
from models.training.parallel import spread
from models.training.params import CheckpointParams, ParallelParams, TrainingParams
from models.training.trainer import Trainer

ROWS = 16
PACKED = Path("data/packed/train")
DENSE = ModelConfig(
    vocab_size=1024, d_model=256, d_ff=1024, num_heads=4, d_kv=64, num_layers=4, activation="relu"
)


def sparse(experts: int) -> ModelConfig:
    """The dense model with experts in every second layer, top-1, dropless."""
    moe = MoEConfig(num_experts=experts, capacity_factor_train=None, expert_dropout=0.0)
    return dataclasses.replace(DENSE, moe=moe)


def main() -> None:
    """Measures, prints, and writes the figures where asked."""
    if sys.argv[1:2] == ["--child"]:
        _child(json.loads(sys.argv[2]))
        return
    turns, chosen = begin(__doc__)
    corpus = PackedCorpus.open(PACKED)
    steps = 5 if chosen.quick else 8
    sections: dict[str, Callable[[], Any]] = {
        "packing": lambda: _packing(corpus),
        "end_to_end": lambda: {
            name: _end_to_end(config, corpus, turns, steps)
            for name, config in (("dense", DENSE), ("moe", sparse(8)))
        },
        "hugging_face": lambda: {
            name: _hugging_face(config, corpus, turns, steps)
            for name, config in (("t5", DENSE), ("switch", sparse(8)))
        },
        "checkpoints": lambda: _checkpoints(corpus, 1 if chosen.quick else 4),
        "processes": lambda: _processes(steps),
        "experts": lambda: _experts(corpus, steps),
    }
    figures: dict[str, Any] = {"machine": machine("torch", "transformers", "accelerate")}
    for name, measure in sections.items():
        figures[name] = measure()
        print(json.dumps({name: figures[name]}, indent=1), flush=True)
        write(figures, chosen.json)


def _trainer(config: ModelConfig, corpus: PackedCorpus, folder: str, **changes: Any) -> Trainer:
    params = TrainingParams(
        **{
            "global_batch_size": ROWS,
            "threads": torch.get_num_threads(),
            "checkpoint": CheckpointParams(save_every=10**6),
            **changes,
        }
    )
    return Trainer(
        model=T5(config).reset_parameters(0), corpus=corpus, params=params, steps=10**6, seed=0,
        folder=Path(folder),
    )  # fmt: skip


class _Enough(Exception):
    pass


def _steps_of(trainer: Trainer, steps: int, warm: int = 2) -> list[float]:
    """Seconds of each step of a trainer, from the end of one to that of the next."""
    ends: list[float] = []

    def note(_: int) -> None:
        ends.append(time.perf_counter())
        if len(ends) > steps + warm:
            raise _Enough

    try:
        trainer.fit(on_step=note)
    except _Enough:
        pass
    return list(np.diff(ends))[warm - 1 :]


def _end_to_end(
    config: ModelConfig, corpus: PackedCorpus, turns: int, steps: int
) -> dict[str, float]:
    whole: list[float] = []
    bare: list[float] = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            whole += _steps_of(_trainer(config, corpus, folder), steps)
        bare += _bare(config, corpus, steps)
    a, b = statistics.median(whole), statistics.median(bare)
    return {"trainer_ms": 1e3 * a, "bare_step_ms": 1e3 * b, "share_of_bare_speed": b / a}


def _bare(config: ModelConfig, corpus: PackedCorpus, steps: int, warm: int = 2) -> list[float]:
    """Forward, backward, clipping, AdamW, on one batch that is there already."""
    params = TrainingParams(global_batch_size=ROWS)
    model = T5(config).reset_parameters(0).train()
    spread_model = spread(model, params, Group())
    batch = to_tensors(corpus, np.arange(ROWS))
    for name in ("encoder_input_tokens", "decoder_target_tokens", "decoder_input_tokens"):
        batch[name] = torch.randint(2, 1000, batch[name].shape)
    seconds = []
    for _ in range(steps + warm):
        began = time.perf_counter()
        compute(model, model, batch).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        spread_model.optimizers[0].step()
        spread_model.optimizers[0].zero_grad()
        seconds.append(time.perf_counter() - began)
    return seconds[warm:]


def _packing(corpus: PackedCorpus) -> dict[str, float]:
    """Shares of tokens that are not padding, both sides together."""
    useful, total = _useful(corpus), 0
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
        part = [lengths[i] for i in order[start : start + ROWS]]
        padded += len(part) * (max(a for a, _ in part) + max(b for _, b in part))
    return {
        "packed_useful_share": useful / total,
        "padded_useful_share": useful / padded,
        "ratio": padded / total,
    }


def _useful(corpus: PackedCorpus) -> int:
    """Tokens that are not padding, both sides together."""
    return sum(
        int((shard["encoder_segment_ids"] > 0).sum() + (shard["decoder_segment_ids"] > 0).sum())
        for shard in corpus.shards
    )


def _checkpoints(corpus: PackedCorpus, pairs: int) -> dict[str, float]:
    """50 steps, the first of which starts a checkpoint, beside the 50 after them, which have none:
    of one run, so that what else the machine does weighs on both."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(sparse(8), corpus, folder, checkpoint=CheckpointParams(save_every=100))
        # The first is that of step 100.
        seconds = np.array(_steps_of(trainer, 100 * pairs, warm=99)[:-1]).reshape(pairs, 2, 50)
    one, none = (statistics.median(half.sum(1)) for half in (seconds[:, 0], seconds[:, 1]))
    cost = statistics.median(seconds[:, 0].sum(1) / seconds[:, 1].sum(1)) - 1
    return {"seconds_of_50_steps": none, "with_a_checkpoint": one, "cost_share": cost}


def _hugging_face(
    config: ModelConfig, corpus: PackedCorpus, turns: int, steps: int
) -> dict[str, float]:
    packed = _Rows(corpus)
    padded = _Examples(corpus)
    ours: list[float] = []
    same: list[float] = []
    usual: list[float] = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            ours += _steps_of(_trainer(config, corpus, folder), steps)
        with tempfile.TemporaryDirectory() as folder:
            same += _their_steps(config, packed, folder, steps, ROWS)
        with tempfile.TemporaryDirectory() as folder:
            usual += _their_steps(config, padded, folder, steps, padded.batch, padded.collate)
    a, b, c = (statistics.median(seconds) for seconds in (ours, same, usual))
    tokens = packed.useful * ROWS
    return {
        "ours_ms": 1e3 * a,
        "theirs_same_rows_ms": 1e3 * b,
        "theirs_padded_ms": 1e3 * c,
        "useful_tokens_a_second": tokens / a,
        "ratio_same_rows": b / a,
        "ratio_padded": (tokens / a) / (padded.useful() / c),
    }


def _their_steps(
    config: ModelConfig, rows: Any, folder: str, steps: int, batch: int, collate: Any = None,
    warm: int = 2,
) -> list[float]:  # fmt: skip
    from transformers import (
        SwitchTransformersConfig,
        SwitchTransformersForConditionalGeneration,
        T5Config,
        T5ForConditionalGeneration,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )  # fmt: skip

    sizes = {
        "vocab_size": config.vocab_size, "d_model": config.d_model, "d_ff": config.d_ff,
        "num_heads": config.num_heads, "d_kv": config.d_kv, "num_layers": config.num_layers,
        "num_decoder_layers": config.num_layers, "dropout_rate": 0.0,
        "decoder_start_token_id": 0, "tie_word_embeddings": False,
    }  # fmt: skip
    model: Any
    if config.moe is None:
        model = T5ForConditionalGeneration(T5Config(**sizes, feed_forward_proj="relu"))
    else:
        half = config.num_layers // config.moe.moe_every
        model = SwitchTransformersForConditionalGeneration(
            SwitchTransformersConfig(
                **sizes, num_experts=config.moe.num_experts, num_sparse_encoder_layers=half,
                num_sparse_decoder_layers=half, expert_capacity=10**6, router_jitter_noise=0.0,
                add_router_probs=True,
            )
        )  # fmt: skip
    ends: list[float] = []

    class Note(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=folder, per_device_train_batch_size=batch, max_steps=steps + warm + 1,
        logging_strategy="no", save_strategy="no", report_to=[], learning_rate=1e-3,
        optim="adamw_torch_fused", use_cpu=True, disable_tqdm=True, dataloader_num_workers=0,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=rows, callbacks=[Note()], data_collator=collate).train()
    return list(np.diff(ends))[warm - 1 :]


class _Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Packed rows as they are."""

    def __init__(self, corpus: PackedCorpus) -> None:
        self.corpus = corpus
        self.useful = _useful(corpus) / len(corpus)

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = to_tensors(self.corpus, np.array([index]))
        valid = row["decoder_segment_ids"][0] > 0
        return {
            "input_ids": row["encoder_input_tokens"][0],
            "attention_mask": (row["encoder_segment_ids"][0] > 0).long(),
            "labels": row["decoder_target_tokens"][0].masked_fill(~valid, -100),
            "decoder_input_ids": row["decoder_input_tokens"][0],
        }


class _Examples(torch.utils.data.Dataset[tuple[np.ndarray, np.ndarray]]):
    """One example a row, padded to the longest of its batch; as many a batch as 16 rows hold."""

    def __init__(self, corpus: PackedCorpus) -> None:
        self.made: list[tuple[np.ndarray, np.ndarray]] = []
        self.collated: list[int] = []
        first = corpus.shards[0]
        rows = min(512, len(first["encoder_input_tokens"]))
        for row in range(rows):
            source, target = first["encoder_segment_ids"][row], first["decoder_segment_ids"][row]
            for segment in range(1, int(source.max()) + 1):
                self.made.append((
                    first["encoder_input_tokens"][row][source == segment],
                    first["decoder_target_tokens"][row][target == segment],
                ))  # fmt: skip
        self.batch = round(ROWS * len(self.made) / rows)

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.made[index]

    def collate(self, examples: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
        pad = torch.nn.utils.rnn.pad_sequence
        sources, targets = (
            [torch.as_tensor(np.array(part), dtype=torch.long) for part in side]
            for side in zip(*examples, strict=True)
        )
        self.collated.append(sum(map(len, sources)) + sum(map(len, targets)))
        ids, labels = pad(sources, True), pad(targets, True, padding_value=-100)
        mask = pad([torch.ones_like(source) for source in sources], True)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def useful(self) -> float:
        """Tokens a batch that are not padding."""
        return statistics.mean(self.collated)


def _processes(steps: int) -> list[dict[str, Any]]:
    """1 and 2 gloo processes of one thread: the same 16 rows a step, and the same rows each."""
    rows = []
    for data, experts, processes, batch in (
        ("ddp", 1, 1, ROWS), ("ddp", 1, 2, ROWS), ("oss", 1, 2, ROWS), ("sharded", 1, 2, ROWS),
        ("fsdp", 1, 2, ROWS), ("oss", 2, 2, ROWS), ("oss", 1, 2, 2 * ROWS), ("oss", 2, 2, 2 * ROWS),
    ):  # fmt: skip
        job = {"data": data, "experts": experts, "steps": steps, "rows": batch}
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                   "--nproc-per-node", str(processes), "-m", "benchmarks.training"]  # fmt: skip
        done = subprocess.run(
            [*command, "--child", json.dumps(job)], capture_output=True, text=True, check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        )  # fmt: skip
        seconds = float(done.stdout.strip().splitlines()[-1])
        rows.append({**job, "processes": processes, "rows_per_second": batch / seconds})
    for row in rows:
        row["speedup"] = row["rows_per_second"] / rows[0]["rows_per_second"]
    return rows


def _child(job: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    corpus = PackedCorpus.open(PACKED)
    with join(120) as group, tempfile.TemporaryDirectory() as folder:
        path = [folder]
        if group.world > 1:
            torch.distributed.broadcast_object_list(path)
        trainer = _trainer(
            sparse(8), corpus, path[0], global_batch_size=job["rows"],
            parallel=ParallelParams(data_parallel=job["data"], expert_parallel_size=job["experts"]),
        )  # fmt: skip
        trainer.group = group
        seconds = statistics.median(_steps_of(trainer, job["steps"]))
        group.barrier()
        if group.is_first:
            print(seconds, flush=True)


def _experts(corpus: PackedCorpus, steps: int) -> list[dict[str, float]]:
    """Time of a step against the dense model's as experts are added: the same FLOPs a token."""
    dense: list[float] = []
    found: dict[int, list[float]] = {8: [], 16: [], 64: [], 128: []}
    for _ in range(2):
        for experts in (0, *found):
            config = sparse(experts) if experts else DENSE
            with tempfile.TemporaryDirectory() as folder:
                seconds = _steps_of(_trainer(config, corpus, folder), steps)
            (found[experts] if experts else dense).extend(seconds)
    base = statistics.median(dense)
    medians = {experts: statistics.median(seconds) for experts, seconds in found.items()}
    return [
        {"experts": experts, "step_ms": 1e3 * median, "times_dense": median / base}
        for experts, median in medians.items()
    ]


if __name__ == "__main__":
    main()
