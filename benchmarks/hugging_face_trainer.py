"""Hugging Face's Trainer on the rows of a packed corpus: the peer of benchmarks.training."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from data_pipelines.packed import PackedCorpus
from models.config import ModelConfig
from models.training.batches import to_tensors

Example = tuple[np.ndarray, np.ndarray]


class PackedRows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Packed rows; examples of a row attend to each other, as transformers has no segments."""

    def __init__(self, corpus: PackedCorpus) -> None:
        self.corpus = corpus

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


class PaddedExamples(torch.utils.data.Dataset[Example]):
    """One example per row, padded to the longest example of its batch.

    A batch has as many examples as `packed_rows` packed rows hold on average.
    """

    def __init__(self, corpus: PackedCorpus, packed_rows: int) -> None:
        self.examples: list[Example] = []
        self._tokens_per_batch: list[int] = []
        shard = corpus.shards[0]
        rows = min(512, len(shard["encoder_input_tokens"]))
        for row in range(rows):
            source, target = shard["encoder_segment_ids"][row], shard["decoder_segment_ids"][row]
            for segment in range(1, int(source.max()) + 1):
                self.examples.append(
                    (
                        shard["encoder_input_tokens"][row][source == segment],
                        shard["decoder_target_tokens"][row][target == segment],
                    )
                )
        self.batch_size = round(packed_rows * len(self.examples) / rows)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def collate(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        """Pad examples to a batch."""
        pad = torch.nn.utils.rnn.pad_sequence
        sources, targets = (
            [torch.as_tensor(np.array(part), dtype=torch.long) for part in side]
            for side in zip(*examples, strict=True)
        )
        self._tokens_per_batch.append(sum(map(len, sources)) + sum(map(len, targets)))
        ids, labels = pad(sources, True), pad(targets, True, padding_value=-100)
        mask = pad([torch.ones_like(source) for source in sources], True)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def mean_useful_tokens(self) -> float:
        """Return the mean number of tokens that are not padding in the batches so far."""
        return statistics.mean(self._tokens_per_batch)


def time_hugging_face_steps(
    config: ModelConfig,
    rows: torch.utils.data.Dataset[Any],
    folder: str,
    steps: int,
    batch_size: int,
    collate: Any = None,
    warmup: int = 2,
) -> list[float]:
    """Return the seconds of each step of Hugging Face's Trainer.

    Args:
        config: sizes of the T5 or SwitchTransformers model.
        rows: training data.
        folder: output folder of the Trainer.
        steps: steps to measure.
        batch_size: rows or examples per step.
        collate: data collator; transformers' default by default.
        warmup: steps before the first measured one.
    """
    from transformers import Trainer, TrainerCallback, TrainingArguments

    ends: list[float] = []

    class StepTimes(TrainerCallback):  # type: ignore[misc]
        """Records the end of each step."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=folder, per_device_train_batch_size=batch_size, max_steps=steps + warmup + 1,
        logging_strategy="no", save_strategy="no", report_to=[], learning_rate=1e-3,
        optim="adamw_torch_fused", use_cpu=True, disable_tqdm=True, dataloader_num_workers=0,
    )  # fmt: skip
    Trainer(
        _build_model(config), arguments, train_dataset=rows, callbacks=[StepTimes()],
        data_collator=collate,
    ).train()  # fmt: skip
    return list(np.diff(ends))[warmup - 1 :]


def _build_model(config: ModelConfig) -> Any:
    from transformers import (
        SwitchTransformersConfig,
        SwitchTransformersForConditionalGeneration,
        T5Config,
        T5ForConditionalGeneration,
    )

    sizes = {
        "vocab_size": config.vocab_size, "d_model": config.d_model, "d_ff": config.d_ff,
        "num_heads": config.num_heads, "d_kv": config.d_kv, "num_layers": config.num_layers,
        "num_decoder_layers": config.num_layers, "dropout_rate": 0.0,
        "decoder_start_token_id": 0, "tie_word_embeddings": False,
    }  # fmt: skip
    if config.moe is None:
        return T5ForConditionalGeneration(T5Config(**sizes, feed_forward_proj="relu"))
    num_sparse = config.num_layers // config.moe.moe_every
    return SwitchTransformersForConditionalGeneration(
        SwitchTransformersConfig(
            **sizes, num_experts=config.moe.num_experts, num_sparse_encoder_layers=num_sparse,
            num_sparse_decoder_layers=num_sparse, expert_capacity=10**6, router_jitter_noise=0.0,
            add_router_probs=True,
        )
    )  # fmt: skip
