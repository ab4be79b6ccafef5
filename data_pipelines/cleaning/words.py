"""Words of many texts at once, and hashes of the n-grams they form; no loop over rows.

A text is lower-cased and broken at everything that is no letter or digit, so case, punctuation and
line breaks do not hide that two texts are the same.
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


def normalised(texts: pa.Array) -> pa.Array:
    """Lower-case words with single spaces between."""
    lower = pc.utf8_lower(texts)
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, r"[^\p{L}\p{N}]+", " "))


def joined(*texts: pa.Array) -> pa.Array:
    """Normalised texts end to end; an empty one leaves no second space."""
    spaced = [
        pc.if_else(pc.equal(t, ""), t, pc.binary_join_element_wise(t, "", " ")) for t in texts
    ]
    return pc.utf8_trim_whitespace(pc.binary_join_element_wise(*spaced, ""))


@dataclass(frozen=True)
class Words:
    """Hashes of all words, end to end; row i's are `hashes[offsets[i]:offsets[i + 1]]`."""

    hashes: Hashes
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: pa.Array) -> Words:
        """Of texts that are `normalised` already."""
        lists = pc.split_pattern(texts, " ")
        offsets = lists.offsets.to_numpy().astype(np.int64)
        encoded = lists.values.dictionary_encode()
        known = np.fromiter(
            (_hash(word) for word in encoded.dictionary.to_pylist()), np.uint64,
            len(encoded.dictionary),
        )  # fmt: skip
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        return cls(known[codes], offsets)

    def grams(self, n: int) -> Words:
        """Hashes of every n words in a row that one text holds; none of a shorter text."""
        size = len(self.hashes) - n + 1
        lengths = np.diff(self.offsets)
        counts = np.maximum(lengths - n + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        if size <= 0:
            return Words(np.empty(0, np.uint64), offsets)
        rolled = np.zeros(size, np.uint64)
        for step in range(n):
            rolled = rolled * _BASE + self.hashes[step : step + size]
        rolled ^= rolled >> np.uint64(32)
        rolled *= _MIX
        rolled ^= rolled >> np.uint64(29)
        # Windows that begin in one text and end in the next are no n-grams.
        starts = np.repeat(self.offsets[:-1], counts)
        within = np.arange(len(starts)) - np.repeat(offsets[:-1], counts)
        return Words(rolled[starts + within], offsets)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each hash."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def key(*texts: str) -> bytes:
    """16 bytes that name exactly these texts."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()
