"""Text to token ids, repeated parts only once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from models.evaluation.prompts import BREAK

_PROBE = ("A (b)  c.\nD:", "E; f")


class Tokens:
    """A SentencePiece processor that remembers the parts of prompts.

    The worked examples before each question of a task are the same. As no piece crosses a space,
    the tokens of a prompt are those of its parts, one after the other; where a tokenizer does
    otherwise, the text is tokenized whole.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.unknown = processor.unk_id()
        whole = processor.EncodeAsIds(BREAK.join(_PROBE))
        crossing = any("\u2581" in processor.IdToPiece(i)[1:] for i in range(len(self)))
        parts = [token for part in _PROBE for token in processor.EncodeAsIds(part)]
        self.by_part = not crossing and parts == whole
        self._part = lru_cache(maxsize=4096)(self._encode)

    def __len__(self) -> int:
        return int(self.processor.vocab_size())

    def __call__(self, text: str) -> list[int]:
        """Ids without an end mark."""
        if not self.by_part:
            return list(self._encode(text))
        return [token for part in text.split(BREAK) for token in self._part(part)]

    def text(self, ids: list[int]) -> str:
        """Ids back to text; what is unknown is not a part of it."""
        return str(self.processor.DecodeIds([i for i in ids if i != self.unknown]))

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.processor.EncodeAsIds(text))
