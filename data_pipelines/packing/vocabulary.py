"""Tokenization: a SentencePiece model plus T5's span-corruption sentinels."""

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
class TokenSequences:
    """Token ids of many texts, concatenated.

    The ids of text i are `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: npt.NDArray[np.int32]
    """int32 [num_tokens]."""
    offsets: npt.NDArray[np.int64]
    """int64 [num_texts + 1]."""

    @classmethod
    def concatenate(
        cls, sequences: Sequence[Sequence[int] | npt.NDArray[np.int32]]
    ) -> TokenSequences:
        """Concatenate sequences of token ids."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        if not len(sequences):
            return cls(np.empty(0, np.int32), offsets)
        return cls(np.concatenate(sequences).astype(np.int32, copy=False), offsets)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of tokens of each text, int64 [num_texts]."""
        return np.diff(self.offsets)

    def __getitem__(self, text: int) -> npt.NDArray[np.int32]:
        return self.ids[self.offsets[text] : self.offsets[text + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a SentencePiece model, followed by the sentinels."""

    processor: spm.SentencePieceProcessor
    num_sentinels: int

    @classmethod
    def load(cls, path: Path, num_sentinels: int) -> Vocabulary:
        """Load a SentencePiece model.

        Raises:
            SourceError: the file is not a SentencePiece model, or its special ids are not T5's.
        """
        processor = spm.SentencePieceProcessor()
        try:
            processor.Load(str(path))
        except (OSError, RuntimeError) as error:
            raise SourceError(
                f"{path} is not a SentencePiece model: {error}; train one with `flanmoe tokenizer`"
            ) from None
        ids = (processor.pad_id(), processor.eos_id(), processor.unk_id())
        if ids != (PAD, EOS, UNK):
            raise SourceError(
                f"{path} has padding, end-of-sequence and unknown ids {ids}; expected "
                f"{(PAD, EOS, UNK)}, as in T5"
            )
        return cls(processor, num_sentinels)

    @property
    def num_pieces(self) -> int:
        """Number of SentencePiece pieces, without sentinels."""
        return int(self.processor.vocab_size())

    @property
    def size(self) -> int:
        """Number of token ids, sentinels included."""
        return self.num_pieces + self.num_sentinels

    def encode(self, texts: list[str]) -> TokenSequences:
        """Tokenize texts without end-of-sequence tokens.

        SentencePiece uses one thread, because the stage already runs one process per core.
        """
        return TokenSequences.concatenate(self.processor.EncodeAsNumpy(texts, num_threads=1))

    def sentinel_id(self, index: int) -> int:
        """Return the id of `<extra_id_INDEX>`; ids descend from the highest, as in T5.

        Raises:
            IndexError: there is no such sentinel.
        """
        if not 0 <= index < self.num_sentinels:
            raise IndexError(f"sentinel {index} is out of range; there are {self.num_sentinels}")
        return self.size - 1 - index
