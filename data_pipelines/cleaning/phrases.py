"""Search for many phrases of different lengths in many texts, by hashes of words.

A phrase longer than `max_anchor_words` is searched by its first words, its anchor; the remaining
words are compared at the places where the anchor occurs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_pipelines.cleaning.words import HashedWords, Hashes

Integers = npt.NDArray[np.int64]
_FILTER_BYTES_PER_ANCHOR = 32
_MIN_FILTER_BITS, _MAX_FILTER_BITS = 12, 26


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """Phrases by hash, each with the number of its owner, in parallel arrays."""

    anchors: Hashes
    """Hash of the first `max_anchor_words` words, or of all words, uint64 [num_phrases]."""
    hashes: Hashes
    """Hash of all words, uint64 [num_phrases]."""
    lengths: Integers
    """Number of words, int64 [num_phrases]."""
    owners: Integers
    """int64 [num_phrases]."""

    @classmethod
    def of_texts(cls, words: HashedWords, texts: Integers, max_anchor_words: int) -> Phrases:
        """Return the phrases that consist of all words of some texts.

        Args:
            words: words of all texts.
            texts: indices of the texts, which become the owners, int64 [num_phrases].
            max_anchor_words: largest number of words of an anchor.
        """
        starts = words.offsets[texts]
        lengths = words.offsets[texts + 1] - starts
        return cls(
            anchors=words.hash_phrases(starts, np.minimum(lengths, max_anchor_words)),
            hashes=words.hash_phrases(starts, lengths),
            lengths=lengths,
            owners=texts,
        )

    def select(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Phrases:
        """Return the phrases at the indices, or those that a mask selects."""
        return Phrases(
            anchors=self.anchors[index],
            hashes=self.hashes[index],
            lengths=self.lengths[index],
            owners=self.owners[index],
        )


@dataclass(frozen=True)
class _AnchorGroup:
    """Phrases whose anchors have the same number of words, sorted by anchor."""

    num_words: int
    phrases: Phrases
    filter: npt.NDArray[np.uint8]
    """1 at the low bits of each anchor, uint8 [2**bits]. It rejects most words of the training data
    without a binary search."""


class PhraseIndex:
    """Index of phrases."""

    def __init__(self, phrases: Phrases, max_anchor_words: int) -> None:
        sizes = np.minimum(phrases.lengths, max_anchor_words)
        self._groups = [
            _make_group(phrases.select(sizes == size), int(size)) for size in np.unique(sizes)
        ]

    def search(self, words: HashedWords) -> tuple[Integers, Integers]:
        """Find the phrases that occur in texts.

        Returns:
            The text and the owner of each distinct pair of a text and a phrase that occurs in it,
            each int64 [num_pairs], in ascending order.
        """
        pairs = [_search_group(group, words) for group in self._groups]
        both = np.concatenate([np.empty((0, 2), np.int64), *pairs])
        distinct = np.unique(both, axis=0)
        return distinct[:, 0], distinct[:, 1]


def _make_group(phrases: Phrases, num_words: int) -> _AnchorGroup:
    phrases = phrases.select(np.argsort(phrases.anchors, kind="stable"))
    size = len(phrases.anchors) * _FILTER_BYTES_PER_ANCHOR
    bits = min(max(size.bit_length(), _MIN_FILTER_BITS), _MAX_FILTER_BITS)
    anchor_filter = np.zeros(1 << bits, np.uint8)
    anchor_filter[_low_bits(phrases.anchors, anchor_filter)] = 1
    return _AnchorGroup(num_words, phrases, anchor_filter)


def _low_bits(hashes: Hashes, table: npt.NDArray[np.uint8]) -> Integers:
    return (hashes & np.uint64(len(table) - 1)).astype(np.int64)


def _search_group(group: _AnchorGroup, words: HashedWords) -> Integers:
    """Return the pairs of text and owner, int64 [num_pairs, 2]."""
    hashes = words.hash_windows(group.num_words)
    starts = np.flatnonzero(group.filter[_low_bits(hashes, group.filter)])
    first = np.searchsorted(group.phrases.anchors, hashes[starts], "left")
    last = np.searchsorted(group.phrases.anchors, hashes[starts], "right")
    starts, first, counts = (array[last > first] for array in (starts, first, last - first))
    # One candidate per place and phrase whose anchor occurs there.
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    phrases = group.phrases.select(np.repeat(first, counts) + offset)
    starts = np.repeat(starts, counts)
    texts = np.searchsorted(words.offsets, starts, "right") - 1
    fits = starts + phrases.lengths <= words.offsets[texts + 1]
    starts, texts, phrases = starts[fits], texts[fits], phrases.select(fits)
    matches = words.hash_phrases(starts, phrases.lengths) == phrases.hashes
    return np.stack([texts[matches], phrases.owners[matches]], axis=1)
