"""Text to token ids and back, with T5's sentinels on top of a SentencePiece model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece as spm

from data_pipelines.errors import SourceError

PAD, EOS, UNK = 0, 1, 2


@dataclass(frozen=True)
class Tokens:
    """Ids of many texts, end to end; text i's are `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int] | npt.NDArray[np.int32]]) -> Tokens:
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        if not len(sequences):
            return cls(np.empty(0, np.int32), offsets)
        return cls(np.concatenate(sequences).astype(np.int32, copy=False), offsets)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.offsets)

    def __getitem__(self, text: int) -> npt.NDArray[np.int32]:
        return self.ids[self.offsets[text] : self.offsets[text + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1


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

    def encode(self, texts: list[str]) -> Tokens:
        """Token ids without end marks, on one thread: parts run side by side in processes."""
        return Tokens.of(self.processor.EncodeAsNumpy(texts, num_threads=1))

    def sentinel(self, index: int) -> int:
        """Id of `<extra_id_INDEX>`: the highest first, as T5 numbers them."""
        if not 0 <= index < self.sentinels:
            raise IndexError(f"sentinel {index} of {self.sentinels}")
        return self.size - 1 - index
