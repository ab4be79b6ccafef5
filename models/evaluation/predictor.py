"""A trained encoder-decoder with its tokenizer: log-probabilities of answers, greedy answers.

Shape suffixes: N inputs, L length, V vocabulary.
"""

from __future__ import annotations

import dataclasses
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
from models.architecture.generation import greedy_decode
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import CorruptCheckpoint, DataMismatch, UnknownModel
from models.evaluation.prompt_tokenizer import PromptTokenizer

PAD, EOS = 0, 1


@dataclass(frozen=True)
class Generation:
    """A generated text."""

    text: str
    num_tokens: int
    """Generated tokens, the end-of-sequence token included."""
    finished: bool
    """Whether the model generated an end-of-sequence token."""


@dataclass(frozen=True)
class Seq2SeqPredictor:
    """Scores and generates answers to text prompts.

    Prompts of more than `max_input_tokens` tokens are truncated at their start.
    """

    model: T5
    tokenizer: PromptTokenizer
    max_input_tokens: int

    @classmethod
    def load(
        cls, weights: Path, tokenizer: Path, max_input_tokens: int | None = None
    ) -> Seq2SeqPredictor:
        """Load weights and tokenizer.

        Args:
            weights: folder of the weights; a `spiece.model` in it takes precedence over
                `tokenizer`.
            tokenizer: folder of the run's tokenizer.
            max_input_tokens: longest prompt, in tokens; None: what the weights were trained at, or
                the own limit of imported ones.

        Raises:
            UnknownModel: the weights or the tokenizer are missing.
            CorruptCheckpoint: the weights cannot be read.
            DataMismatch: the weights were trained with another tokenizer.
        """
        from models.weights import DEFAULT_INPUT_TOKENS, load_weights

        loaded = load_weights(weights, batch_invariant_config)
        model_file = tokenizer / "spiece.model"
        if (weights / "spiece.model").is_file():
            model_file = weights / "spiece.model"
        if not model_file.is_file():
            raise UnknownModel(f"{model_file} is missing; run `flanmoe tokenizer`")
        if not loaded.tokenizer_sha256:
            raise DataMismatch(f"{weights} was imported without its tokenizer; import it again")
        if sha256(model_file) != loaded.tokenizer_sha256:
            raise DataMismatch(
                f"{weights} was trained with another tokenizer than {model_file}; train it again"
            )
        processor = spm.SentencePieceProcessor(model_file=str(model_file))
        loaded.model.eval()
        limit = max_input_tokens or loaded.max_input_tokens or DEFAULT_INPUT_TOKENS
        return cls(loaded.model, PromptTokenizer(processor), limit)

    def num_tokens(self, text: str) -> int:
        """Count the tokens of a text before truncation, the end-of-sequence token included."""
        return len(self.tokenizer.encode(text)) + 1

    def num_unknown_pieces(self, text: str) -> int:
        """Count the pieces of a prompt that the tokenizer does not know, as the model reads it."""
        return self.encode(text).count(self.tokenizer.unknown_id)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a prompt with the end-of-sequence token.

        A prompt that is too long loses its start: the question is at the end.
        """
        return [*self.tokenizer.encode(text)[-(self.max_input_tokens - 1) :], EOS]

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Compute the log-probability of answers.

        All answers to one prompt are the segments of one decoder row, so the encoder and the
        cross-attention's keys and values are computed once per prompt. As in
        lm-evaluation-harness, the end-of-sequence token is not a part of the answer.

        Args:
            pairs: (prompt, answer) pairs.

        Returns:
            (log-probability, whether greedy decoding generates the answer) of each pair. An answer
            without tokens has log-probability -inf.

        Raises:
            CorruptCheckpoint: the model's outputs contain NaN.
        """
        answers: dict[str, list[str]] = {}
        for prompt, answer in pairs:
            answers.setdefault(prompt, []).append(answer)
        memory, memory_segments = self._encode_prompts(list(answers))
        rows = [[self.tokenizer.encode(answer) for answer in texts] for texts in answers.values()]
        targets_NL = _padded([[t for target in row for t in target] or [PAD] for row in rows])
        # Each answer begins with the start token, whose id is that of padding.
        inputs_NL = _padded([[t for target in row for t in [PAD, *target][:-1]] for row in rows])
        inputs_NL = F.pad(inputs_NL, (0, targets_NL.shape[1] - inputs_NL.shape[1]))
        segments_NL = _padded(
            [[i for i, target in enumerate(row, start=1) for _ in target] for row in rows],
            targets_NL.shape[1],
        )
        logits = self.model.decode(
            inputs_NL, segments_NL, memory, memory_segments, shared_input=True
        )
        logp_NLV = torch.log_softmax(logits.float(), dim=-1)
        target_logp_NL = logp_NLV.gather(2, targets_NL.unsqueeze(-1)).squeeze(-1)
        if bool(target_logp_NL[segments_NL > 0].isnan().any()):
            raise CorruptCheckpoint("the model's outputs contain NaN; train it again")
        is_argmax_NL = logp_NLV.argmax(-1) == targets_NL
        scores: dict[str, Iterator[tuple[float, bool]]] = {}
        for i, (prompt, row) in enumerate(zip(answers, rows, strict=True)):
            ends = [0, *accumulate(map(len, row))]
            scores[prompt] = iter(
                [
                    (
                        float(target_logp_NL[i, start:end].sum()),
                        bool(is_argmax_NL[i, start:end].all()),
                    )
                    if end > start
                    else (-math.inf, False)
                    for start, end in pairwise(ends)
                ]
            )
        return [next(scores[prompt]) for prompt, _ in pairs]

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> list[Generation]:
        """Decode greedily until the end-of-sequence token, at most `max_new_tokens` tokens."""
        tokens_NL = _padded([self.encode(prompt) for prompt in prompts])
        # Ids from the tokenizer's size on are sentinels and padding of the vocabulary, not text.
        outputs = greedy_decode(
            self.model,
            tokens_NL,
            (tokens_NL != PAD).long(),
            max_new_tokens=max_new_tokens,
            vocabulary=len(self.tokenizer),
        )
        generations = []
        for row in outputs.tolist():
            finished = EOS in row
            ids = row[: row.index(EOS)] if finished else row
            generations.append(
                Generation(self.tokenizer.decode(ids), len(ids) + finished, finished)
            )
        return generations

    def _encode_prompts(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        tokens_NL = _padded([self.encode(prompt) for prompt in prompts])
        segments_NL = (tokens_NL != PAD).long()
        return self.model.encode(tokens_NL, segments_NL), segments_NL


def batch_invariant_config(config: ModelConfig) -> ModelConfig:
    """Return the configuration for evaluation, in which no answer depends on another.

    Routing is computed per row, and routers in which tokens choose experts drop no tokens: answers
    that share a decoder row do not share a capacity. Only experts that choose tokens, in the
    encoder, keep their capacity, which depends on the row's input alone.
    """
    if config.moe is None:
        return config
    is_expert_choice = config.moe.router == "expert_choice"
    moe = dataclasses.replace(
        config.moe,
        capacity_factor_eval=config.moe.capacity_factor_eval if is_expert_choice else None,
        decoder_capacity_factor_eval=None,
        group_rows=1,
        group_tokens=None,
    )
    return dataclasses.replace(config, moe=moe)


def _padded(rows: list[list[int]], length: int = 0) -> Tensor:
    length = length or max(map(len, rows))
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.long)
