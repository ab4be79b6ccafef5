"""Vectorised word splitting and n-gram hashing over many texts.

Texts are lower-cased and split at all characters other than letters, marks and digits; each
Chinese or Japanese character is a word, as is the `n` of `don't`, which tokenized corpora write
`do n't`. Texts that differ only in case, punctuation, line breaks, tags, escape sequences,
invisible characters and Unicode composition are therefore equal.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_TAG = r"</?[A-Za-z][^<>]{0,200}>"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrt])")
_INVISIBLE = r"\p{Cf}"
_CHARACTER_AS_WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}]"


def normalise(texts: pa.Array) -> pa.Array:
    """Return the lower-case words of each text, joined by single spaces."""
    has_escape = pc.or_(pc.match_substring(texts, "\\"), pc.match_substring(texts, "&"))
    texts = _replace_where(has_escape, texts, _unescape_texts)
    texts = _replace_where(pc.invert(pc.string_is_ascii(texts)), texts, _separate_characters)
    texts = _replace_where(pc.match_substring(texts, "</"), texts, _remove_tags)
    lower = pc.utf8_lower(texts)
    has_negation = pc.or_(pc.match_substring(lower, "n't"), pc.match_substring(lower, "n\u2019t"))
    lower = _replace_where(has_negation, lower, _split_negations)
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, r"[^\p{L}\p{M}\p{N}]+", " "))


def unescape(text: str) -> str:
    """Replace HTML's character references, and the escape sequences of JSON for line breaks, tabs
    and characters outside ASCII."""
    text = html.unescape(text) if "&" in text else text
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else " ", text)


def _unescape_texts(texts: pa.Array) -> pa.Array:
    # Surrogates, which JSON writes in pairs, are no characters.
    unescaped = (unescape(text).encode(errors="ignore").decode() for text in texts.to_pylist())
    return pa.array(unescaped, texts.type)


def _replace_where(
    mask: pa.Array, texts: pa.Array, convert: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Convert the texts that a mask selects."""
    if not pc.any(mask).as_py():
        return texts
    return pc.replace_with_mask(texts, mask, convert(texts.filter(mask)))


def _remove_tags(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, _TAG, " ")


def _split_negations(texts: pa.Array) -> pa.Array:
    """Write `don't` as the words that tokenized corpora have, `do n't`."""
    return pc.replace_substring_regex(texts, "n['\u2019]t\\b", " n t")


def _separate_characters(texts: pa.Array) -> pa.Array:
    """Compose characters, remove invisible ones, and make each Han or Kana character a word."""
    visible = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKC"), _INVISIBLE, "")
    return pc.replace_substring_regex(visible, _CHARACTER_AS_WORD, r" \0 ")


def normalise_lists(lists: pa.ChunkedArray) -> list[list[str]]:
    """Return the normalised texts of each list."""
    column = lists.combine_chunks()
    texts = normalise(column.flatten()).to_pylist()
    ends = np.cumsum(pc.list_value_length(column).to_numpy(zero_copy_only=False)).tolist()
    return [texts[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


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

    @cached_property
    def _powers(self) -> tuple[Hashes, Hashes]:
        """Powers of the base and of its inverse modulo 2^64, each uint64 [num_hashes + 1]."""
        exponents = np.ones((2, len(self.hashes) + 1), np.uint64)
        exponents[0, 1:], exponents[1, 1:] = _BASE, pow(_BASE, -1, 1 << 64)
        powers, inverse_powers = np.cumprod(exponents, axis=1)
        return powers, inverse_powers

    @cached_property
    def _prefix_sums(self) -> Hashes:
        """Sums over the first i words of hash * base^position, uint64 [num_hashes + 1]."""
        sums = np.zeros(len(self.hashes) + 1, np.uint64)
        np.cumsum(self.hashes * self._powers[0][:-1], out=sums[1:])
        return sums

    def hash_phrases(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Hashes:
        """Return the hashes of phrases, each of some consecutive words of one text.

        Args:
            starts: index into `hashes` of each phrase's first word, int64 [num_phrases].
            lengths: number of words of each phrase, int64 [num_phrases].

        Returns:
            uint64 [num_phrases]; equal for equal phrases, at any position.
        """
        sums = self._prefix_sums
        return _mix((sums[starts + lengths] - sums[starts]) * self._powers[1][starts])

    def hash_windows(self, n: int) -> Hashes:
        """Return the hashes of all phrases of n words, also of those that span two texts."""
        num_windows = max(0, len(self.hashes) - n + 1)
        sums = self._prefix_sums
        return _mix((sums[n:] - sums[:num_windows]) * self._powers[1][:num_windows])

    def ngrams(self, n: int) -> HashedWords:
        """Return the hashes of all n-grams; a text of fewer than n words has none."""
        counts = np.maximum(np.diff(self.offsets) - n + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        # Omit windows that begin in one text and end in the next.
        starts = np.repeat(self.offsets[:-1] - offsets[:-1], counts) + np.arange(offsets[-1])
        return HashedWords(self.hash_windows(n)[starts], offsets)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Index of the text of each hash, int64 [num_hashes]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def _mix(hashes: Hashes) -> Hashes:
    """Distribute the information of all bits over all bits."""
    hashes = hashes ^ (hashes >> np.uint64(32))
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes


def combine(hashes: Hashes, numbers: npt.NDArray[np.int64]) -> Hashes:
    """Return a hash of each pair of a hash and a number, uint64 [num_hashes]."""
    return _mix(hashes + numbers.astype(np.uint64) * np.uint64(_BASE))


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def digest(*texts: str) -> bytes:
    """Return a 16-byte digest of the texts."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()
