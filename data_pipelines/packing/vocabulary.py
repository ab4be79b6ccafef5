"""Text to token ids and back, with T5's sentinels on top of a SentencePiece model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sentencepiece as spm

from data_pipelines.errors import SourceError

PAD, EOS, UNK = 0, 1, 2


@dataclass(frozen=True)
class Vocabulary:
    """`pieces` SentencePiece ids, then `sentinels` marks for hidden spans."""

    processor: spm.SentencePieceProcessor
    sentinels: int

    @classmethod
    def load(cls, path: Path, sentinels: int) -> Vocabulary:
        """Raises SourceError for a file that is no SentencePiece model with T5's ids."""
        processor = spm.SentencePieceProcessor()
        try:
            processor.Load(str(path))
        except (OSError, RuntimeError) as error:
            raise SourceError(f"{path} is no SentencePiece model: {error}") from None
        ids = (processor.pad_id(), processor.eos_id(), processor.unk_id())
        if ids != (PAD, EOS, UNK):
            raise SourceError(
                f"{path} has padding, end and unknown at {ids}; T5 models need {(PAD, EOS, UNK)}"
            )
        return cls(processor, sentinels)

    @property
    def pieces(self) -> int:
        return int(self.processor.vocab_size())

    @property
    def size(self) -> int:
        return self.pieces + self.sentinels

    def encode(self, text: str) -> list[int]:
        """Token ids, without an end mark."""
        return list(self.processor.EncodeAsIds(text))

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """`encode` of many texts, on one thread: parts run side by side in processes."""
        ids: list[list[int]] = self.processor.Encode(texts, num_threads=1)
        return ids

    def sentinel(self, index: int) -> int:
        """Id of `<extra_id_INDEX>`: the highest first, as T5 numbers them."""
        if not 0 <= index < self.sentinels:
            raise IndexError(f"sentinel {index} of {self.sentinels}")
        return self.size - 1 - index
