"""Vectorised word splitting and n-gram hashing over many texts.

Texts are lower-cased and split at all characters other than letters and digits. Texts that differ
only in case, punctuation and line breaks are therefore equal.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xFF51AFD7ED558CCD)


def normalise(texts: pa.Array) -> pa.Array:
    """Return the lower-case words of each text, joined by single spaces."""
    lower = pc.utf8_lower(texts)
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, r"[^\p{L}\p{N}]+", " "))


def join_texts(*texts: pa.Array) -> pa.Array:
    """Concatenate normalised texts row by row; empty texts add no space."""
    spaced = [
        pc.if_else(pc.equal(t, ""), t, pc.binary_join_element_wise(t, "", " ")) for t in texts
    ]
    return pc.utf8_trim_whitespace(pc.binary_join_element_wise(*spaced, ""))


@dataclass(frozen=True)
class HashedWords:
    """Hashes of the words (or n-grams) of many texts, concatenated.

    The hashes of text i are `hashes[offsets[i]:offsets[i + 1]]`.
    """

    hashes: Hashes
    """uint64 [num_hashes]."""
    offsets: npt.NDArray[np.int64]
    """int64 [num_texts + 1]."""

    @classmethod
    def from_texts(cls, texts: pa.Array) -> HashedWords:
        """Hash the words of normalised texts; an empty text counts as one empty word."""
        lists = pc.split_pattern(texts, " ")
        offsets = lists.offsets.to_numpy().astype(np.int64)
        encoded = lists.values.dictionary_encode()
        hash_by_code = np.fromiter(
            (_hash(word) for word in encoded.dictionary.to_pylist()), np.uint64,
            len(encoded.dictionary),
        )  # fmt: skip
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        return cls(hash_by_code[codes], offsets)

    def ngrams(self, n: int) -> HashedWords:
        """Return the hashes of all n-grams; a text of fewer than n words has none."""
        num_windows = len(self.hashes) - n + 1
        lengths = np.diff(self.offsets)
        counts = np.maximum(lengths - n + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        if num_windows <= 0:
            return HashedWords(np.empty(0, np.uint64), offsets)
        rolled = np.zeros(num_windows, np.uint64)
        for step in range(n):
            rolled = rolled * _BASE + self.hashes[step : step + num_windows]
        rolled ^= rolled >> np.uint64(32)
        rolled *= _MIX
        rolled ^= rolled >> np.uint64(29)
        # Omit windows that begin in one text and end in the next.
        starts = np.repeat(self.offsets[:-1], counts)
        position = np.arange(len(starts)) - np.repeat(offsets[:-1], counts)
        return HashedWords(rolled[starts + position], offsets)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Index of the text of each hash, int64 [num_hashes]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def digest(*texts: str) -> bytes:
    """Return a 16-byte digest of the texts."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()
