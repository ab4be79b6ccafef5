"""SentencePiece tokenization of prompts, with a cache of their repeated parts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

PART_SEPARATOR = "\n\n"
"""Text between the parts of a prompt; the tokenizer splits prompts here."""

_PROBE = ("A (b)  c.\nD:", "E; f")


class PromptTokenizer:
    """A SentencePiece processor that caches the tokens of the parts of prompts.

    All prompts of a task share their few-shot exemplars. If no piece crosses a space, the tokens of
    a prompt are the tokens of its parts in order, so each part is tokenized once. For a tokenizer
    with pieces that cross spaces, `splits_parts` is False and prompts are tokenized as one text.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.unknown_id = processor.unk_id()
        joined = processor.EncodeAsIds(PART_SEPARATOR.join(_PROBE))
        crosses_spaces = any("\u2581" in processor.IdToPiece(i)[1:] for i in range(len(self)))
        parts = [token for part in _PROBE for token in processor.EncodeAsIds(part)]
        self.splits_parts = not crosses_spaces and parts == joined
        self._encode_cached = lru_cache(maxsize=4096)(self._encode_part)

    def __len__(self) -> int:
        return int(self.processor.vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without an end-of-sequence token."""
        if not self.splits_parts:
            return list(self._encode_part(text))
        return [token for part in text.split(PART_SEPARATOR) for token in self._encode_cached(part)]

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids; unknown tokens are skipped."""
        return str(self.processor.DecodeIds([i for i in ids if i != self.unknown_id]))

    def _encode_part(self, text: str) -> tuple[int, ...]:
        return tuple(self.processor.EncodeAsIds(text))
