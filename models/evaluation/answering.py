"""A trained model with its tokenizer: scores given answers, writes its own.

Shape suffixes: N requests, L length, V vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece as spm
import torch
from torch import Tensor

from models.architecture.generation import greedy
from models.architecture.t5 import T5
from models.errors import DataMismatch, UnknownModel
from models.output import sha256
from models.weights import load_weights

PAD, EOS = 0, 1


@dataclass(frozen=True)
class Answerer:
    """Text in, text or log-probabilities out. Inputs over `max_input` tokens lose their start."""

    model: T5
    processor: spm.SentencePieceProcessor
    max_input: int

    @classmethod
    def load(cls, weights: Path, tokenizer: Path, max_input: int = 512) -> Answerer:
        """Raises UnknownModel, CorruptCheckpoint or DataMismatch."""
        saved = load_weights(weights)
        model_file = tokenizer / "spiece.model"
        if not model_file.is_file():
            raise UnknownModel(f"{model_file} is missing; run `flanmoe tokenizer`")
        if sha256(model_file) != saved.tokenizer_sha256:
            raise DataMismatch(
                f"{weights} was trained with another tokenizer than {model_file}; train it again"
            )
        processor = spm.SentencePieceProcessor(model_file=str(model_file))
        saved.model.eval()
        return cls(saved.model, processor, max_input)

    def tokens(self, text: str) -> list[int]:
        """Ids with the end mark; a text that is too long keeps its end, where the question is."""
        ids = list(self.processor.EncodeAsIds(text))
        return [*ids[-(self.max_input - 1) :], EOS]

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Log-probability of each answer given its input, and whether greedy decoding gives it.

        An input shared by neighbouring pairs (the options of a question) is encoded once.
        """
        inputs = list(dict.fromkeys(source for source, _ in pairs))
        place = {source: i for i, source in enumerate(inputs)}
        memory, segments = self._encode(inputs)
        rows = torch.tensor([place[source] for source, _ in pairs])
        targets_NL = _padded([self._target(answer) for _, answer in pairs])
        decoder_input = torch.zeros_like(targets_NL)
        decoder_input[:, 1:] = targets_NL[:, :-1]
        valid_NL = targets_NL != PAD
        # Padding is never a target here and causal masking hides it from what comes before, so
        # it may share the segment; it must only not be routed, which segment 0 says.
        logits = self.model.decode(decoder_input, valid_NL.long(), memory[rows], segments[rows])
        logp_NLV = torch.log_softmax(logits.float(), dim=-1)
        chosen_NL = logp_NLV.gather(2, targets_NL.unsqueeze(-1)).squeeze(-1)
        total_N = (chosen_NL * valid_NL).sum(1)
        greedy_N = ((logp_NLV.argmax(-1) == targets_NL) | ~valid_NL).all(1)
        return list(zip(total_N.tolist(), greedy_N.tolist(), strict=True))

    @torch.no_grad()
    def generate(self, inputs: Sequence[str], max_new_tokens: int) -> list[str]:
        """Greedy answers; each ends at the end mark or after `max_new_tokens`."""
        tokens_NL = _padded([self.tokens(text) for text in inputs])
        # Ids above the tokenizer's last piece are sentinels and spare rows: not text.
        written = greedy(
            self.model,
            tokens_NL,
            (tokens_NL != PAD).long(),
            max_new_tokens=max_new_tokens,
            vocabulary=self.processor.vocab_size(),
        )
        rows = written.tolist()
        return [self.processor.DecodeIds(row[: _index(row, EOS)]) for row in rows]

    def _target(self, answer: str) -> list[int]:
        return [*self.processor.EncodeAsIds(answer), EOS]

    def _encode(self, inputs: list[str]) -> tuple[Tensor, Tensor]:
        tokens_NL = _padded([self.tokens(text) for text in inputs])
        segments_NL = (tokens_NL != PAD).long()
        return self.model.encode(tokens_NL, segments_NL), segments_NL


def max_input_of(packed: Path) -> int:
    """The encoder length the model was trained at: what it may be asked to read."""
    manifest = json.loads((packed / "manifest.json").read_text(encoding="utf-8"))
    return int(manifest["encoder_length"])


def _padded(rows: list[list[int]]) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])


def _index(row: list[int], token: int) -> int:
    return row.index(token) if token in row else len(row)
