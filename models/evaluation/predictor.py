"""A trained model with its tokenizer: scores given answers, writes its own.

Shape suffixes: N requests, L length, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import sentencepiece as spm
import torch
from torch import Tensor
from torch.nn import functional as F

from data_pipelines.files import sha256
from models.architecture.generation import greedy
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import CorruptCheckpoint, DataMismatch, UnknownModel
from models.evaluation.tokens import Tokens
from models.weights import load_weights

PAD, EOS = 0, 1


@dataclass(frozen=True)
class Generation:
    """A text the model wrote, how many tokens it took, and whether it came to an end."""

    text: str
    tokens: int
    ended: bool


@dataclass(frozen=True)
class Seq2SeqPredictor:
    """Text in, text or log-probabilities out. Inputs over `max_input` tokens lose their start."""

    model: T5
    tokens: Tokens
    max_input: int

    @classmethod
    def load(cls, weights: Path, tokenizer: Path, max_input: int = 512) -> Seq2SeqPredictor:
        """Weights that bring a tokenizer of their own use that one.

        Raises UnknownModel, CorruptCheckpoint or DataMismatch.
        """
        saved = load_weights(weights, batch_invariant_config)
        model_file = tokenizer / "spiece.model"
        if (weights / "spiece.model").is_file():
            model_file = weights / "spiece.model"
        if not model_file.is_file():
            raise UnknownModel(f"{model_file} is missing; run `flanmoe tokenizer`")
        if sha256(model_file) != saved.tokenizer_sha256:
            raise DataMismatch(
                f"{weights} was trained with another tokenizer than {model_file}; train it again"
            )
        processor = spm.SentencePieceProcessor(model_file=str(model_file))
        saved.model.eval()
        return cls(saved.model, Tokens(processor), max_input)

    def length(self, text: str) -> int:
        """Tokens of a text with its end mark, however long."""
        return len(self.tokens(text)) + 1

    def encode(self, text: str) -> list[int]:
        """Ids with the end mark; a text that is too long keeps its end, where the question is."""
        return [*self.tokens(text)[-(self.max_input - 1) :], EOS]

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Log-probability of each answer given its input, and whether greedy decoding gives it.

        The answers to one input (the options of a question) are the segments of one decoder row:
        the input is encoded, and its keys and values are computed, once. As in
        lm-evaluation-harness, the end mark is not a part of the answer. An answer without a token
        has probability 0. Raises CorruptCheckpoint where the model's outputs are not numbers.
        """
        answers: dict[str, list[str]] = {}
        for source, answer in pairs:
            answers.setdefault(source, []).append(answer)
        memory, memory_segments = self._encode(list(answers))
        rows = [[self.tokens(answer) for answer in told] for told in answers.values()]
        targets_NL = _padded([[t for target in row for t in target] or [PAD] for row in rows])
        # Each answer begins with the start mark, which is padding's id.
        inputs_NL = _padded([[t for target in row for t in [PAD, *target][:-1]] for row in rows])
        inputs_NL = F.pad(inputs_NL, (0, targets_NL.shape[1] - inputs_NL.shape[1]))
        segments_NL = _padded(
            [[i for i, target in enumerate(row, start=1) for _ in target] for row in rows],
            targets_NL.shape[1],
        )
        logits = self.model.decode(inputs_NL, segments_NL, memory, memory_segments, one_input=True)
        logp_NLV = torch.log_softmax(logits.float(), dim=-1)
        chosen_NL = logp_NLV.gather(2, targets_NL.unsqueeze(-1)).squeeze(-1)
        if bool(chosen_NL[segments_NL > 0].isnan().any()):
            raise CorruptCheckpoint("the model's outputs are not numbers: train it again")
        best_NL = logp_NLV.argmax(-1) == targets_NL
        found: dict[str, Iterator[tuple[float, bool]]] = {}
        for i, (source, row) in enumerate(zip(answers, rows, strict=True)):
            ends = [0, *accumulate(map(len, row))]
            found[source] = iter(
                [
                    (float(chosen_NL[i, start:end].sum()), bool(best_NL[i, start:end].all()))
                    if end > start
                    else (-math.inf, False)
                    for start, end in pairwise(ends)
                ]
            )
        return [next(found[source]) for source, _ in pairs]

    @torch.no_grad()
    def generate(self, inputs: Sequence[str], max_new_tokens: int) -> list[Generation]:
        """Greedy answers; each ends at the end mark or after `max_new_tokens`."""
        tokens_NL = _padded([self.encode(text) for text in inputs])
        # Ids above the tokenizer's last piece are sentinels and spare rows: not text.
        written = greedy(
            self.model,
            tokens_NL,
            (tokens_NL != PAD).long(),
            max_new_tokens=max_new_tokens,
            vocabulary=len(self.tokens),
        )
        result = []
        for row in written.tolist():
            ended = EOS in row
            ids = row[: row.index(EOS)] if ended else row
            result.append(Generation(self.tokens.text(ids), len(ids) + ended, ended))
        return result

    def _encode(self, inputs: list[str]) -> tuple[Tensor, Tensor]:
        tokens_NL = _padded([self.encode(text) for text in inputs])
        segments_NL = (tokens_NL != PAD).long()
        return self.model.encode(tokens_NL, segments_NL), segments_NL


def batch_invariant_config(config: ModelConfig) -> ModelConfig:
    """The model as it answers: no answer depends on what else is in the batch.

    Tokens that choose experts are never dropped; experts that choose tokens choose within a row.
    """
    if config.moe is None:
        return config
    chooses = "expert_choice" in (config.moe.router, config.moe.decoder_router)
    factor = config.moe.capacity_factor_eval if chooses else None
    moe = dataclasses.replace(config.moe, capacity_factor_eval=factor, group_rows=1)
    return dataclasses.replace(config, moe=moe)


def max_input_of(packed: Path) -> int:
    """The encoder length the model was trained at: what it may be asked to read."""
    manifest = json.loads((packed / "manifest.json").read_text(encoding="utf-8"))
    return int(manifest["encoder_length"])


def _padded(rows: list[list[int]], length: int = 0) -> Tensor:
    length = length or max(map(len, rows))
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.long)
