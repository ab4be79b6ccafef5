"""Overlaps between training rows and evaluation items (decontamination).

A row overlaps with an item if both contain the same n consecutive words (13, as in GPT-3:
arXiv 2005.14165, appendix C), or if the row's question equals the item's question. An n-gram that
many items of a suite contain, and a question of several items of a suite, are boilerplate and are
ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipelines.cleaning.words import HashedWords, Hashes, digest, normalise
from data_pipelines.file_cache import cached_by_file

MIN_QUESTION_WORDS = 3
"""Shorter questions are too unspecific for an exact match to indicate contamination."""
_FILTER_BITS = 26

MATCH_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("mixture", pa.string()),
        ("task", pa.string()),
        ("suite", pa.string()),
        ("suite_task", pa.string()),
        ("item", pa.string()),
        # "question" or "ngram"; "question" if both match.
        ("match", pa.string()),
    ]
)


@dataclass(frozen=True)
class ContaminationIndex:
    """Index of all evaluation items by n-gram and by question."""

    n: int
    items: pa.Table
    """Columns `suite, task, id`, one row per item."""
    ngrams: Hashes
    """Sorted n-gram hashes, uint64 [num_entries]; one entry per n-gram and item."""
    ngram_items: npt.NDArray[np.int64]
    """Index into `items` of the item of each entry of `ngrams`, int64 [num_entries]."""
    ngram_filter: npt.NDArray[np.uint8]
    """1 at the low bits of each n-gram hash, uint8 [2**26]. It rejects most n-grams of the
    training data without a binary search."""
    items_by_question: dict[bytes, list[int]]
    """Digest of a question -> indices into `items`, at most one per suite."""

    def find_matches(self, rows: pa.Table, question: pa.Array, full_text: pa.Array) -> pa.Table:
        """Find the overlaps of training rows with evaluation items.

        Args:
            rows: training rows, with columns `uid, mixture, task`.
            question: normalised question of each row, string [num_rows].
            full_text: normalised context, question, answer and targets of each row, string
                [num_rows].

        Returns:
            A row of MATCH_SCHEMA per overlapping pair of row and item.
        """
        by_question = {
            (row, item)
            for row, text in enumerate(question.to_pylist())
            for item in self.items_by_question.get(digest(text), ())
        }
        by_ngram = set(self._find_ngram_pairs(full_text)) - by_question
        pairs = [*sorted(by_question), *sorted(by_ngram)]
        train = rows.take(pa.array([row for row, _ in pairs], pa.int64()))
        items = self.items.take(pa.array([item for _, item in pairs], pa.int64()))
        kinds = ["question"] * len(by_question) + ["ngram"] * len(by_ngram)
        return pa.table(
            [
                train["uid"], train["mixture"], train["task"],
                items["suite"], items["task"], items["id"],
                pa.array(kinds, pa.string()),
            ],
            schema=MATCH_SCHEMA,
        )  # fmt: skip

    def _find_ngram_pairs(self, texts: pa.Array) -> Iterator[tuple[int, int]]:
        """Yield the indices of each pair of row and item with a common n-gram."""
        grams = HashedWords.from_texts(texts).ngrams(self.n)
        candidates = np.flatnonzero(self.ngram_filter[_low_bits(grams.hashes)])
        hashes, rows = grams.hashes[candidates], grams.rows[candidates]
        first = np.searchsorted(self.ngrams, hashes, "left")
        counts = np.searchsorted(self.ngrams, hashes, "right") - first
        matched_rows = np.repeat(rows, counts)
        offset = np.arange(len(matched_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        matched_items = self.ngram_items[np.repeat(first, counts) + offset]
        pairs = np.unique(np.stack([matched_rows, matched_items], 1), axis=0)
        yield from zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True)


def _low_bits(hashes: Hashes) -> npt.NDArray[np.int64]:
    return (hashes & np.uint64((1 << _FILTER_BITS) - 1)).astype(np.int64)


@cached_by_file(maxsize=2)
def load_contamination_index(path: Path, n: int, max_items: int) -> ContaminationIndex:
    """Build the index of evaluation items.

    Args:
        path: eval_items.parquet, columns `suite, task, id, question, text`.
        n: number of words of an n-gram.
        max_items: largest number of items of a suite that may contain an n-gram; n-grams in more
            items are ignored.
    """
    table = pq.read_table(path)
    suites = table["suite"].combine_chunks().dictionary_encode().indices.to_numpy()
    texts = normalise(table["text"].combine_chunks())
    grams = HashedWords.from_texts(texts).ngrams(n)
    pairs = np.unique(np.stack([grams.hashes, grams.rows.astype(np.uint64)], 1), axis=0)
    hashes, items = pairs[:, 0], pairs[:, 1].astype(np.int64)
    specific = ~_is_boilerplate(hashes, suites[items] if len(items) else items, max_items)
    hashes, items = hashes[specific], items[specific]
    ngram_filter = np.zeros(1 << _FILTER_BITS, np.uint8)
    ngram_filter[_low_bits(hashes)] = 1
    return ContaminationIndex(
        n=n,
        items=table.select(["suite", "task", "id"]),
        ngrams=hashes,
        ngram_items=items,
        ngram_filter=ngram_filter,
        items_by_question=_items_by_question(table, suites),
    )


def _is_boilerplate(
    hashes: Hashes, suites: npt.NDArray[np.int64], max_items: int
) -> npt.NDArray[np.bool_]:
    """Return a mask of the (n-gram, item) entries whose n-gram is in too many items of a suite."""
    keys = np.stack([hashes, suites.astype(np.uint64)], 1)
    _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    mask: npt.NDArray[np.bool_] = (counts > max_items)[inverse.reshape(-1)]
    return mask


def _items_by_question(table: pa.Table, suites: npt.NDArray[np.int64]) -> dict[bytes, list[int]]:
    """Map the digest of each specific question to its items, at most one per suite.

    A question that two items of a suite share ("Which of these is true?") identifies neither.
    """
    questions = normalise(table["question"].combine_chunks())
    num_words = pc.add(pc.count_substring(questions, " "), 1).to_pylist()
    items_by_key: dict[tuple[int, bytes], list[int]] = {}
    for item, (question, size) in enumerate(zip(questions.to_pylist(), num_words, strict=True)):
        if size >= MIN_QUESTION_WORDS:
            items_by_key.setdefault((int(suites[item]), digest(question)), []).append(item)
    specific: dict[bytes, list[int]] = {}
    for (_, key), items in items_by_key.items():
        if len(items) == 1:
            specific.setdefault(key, []).extend(items)
    return specific
