"""Overlaps between training rows and evaluation items.

A row overlaps with an item if they share n words in a row (13, as in GPT-3: arXiv 2005.14165,
appendix C), or if what the row asks is the whole question of the item. An n-gram that many items
of a suite share, or a question that two share, is boilerplate and counts for nothing.
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

from data_pipelines.cleaning.words import Hashes, Words, key, normalised
from data_pipelines.file_cache import cached_by_file

WHOLE_WORDS = 3
"""A question of fewer words says too little for a match to mean anything."""
_BITS = 26

MATCH_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("mixture", pa.string()),
        ("task", pa.string()),
        ("suite", pa.string()),
        ("suite_task", pa.string()),
        ("item", pa.string()),
        ("how", pa.string()),
    ]
)


@dataclass(frozen=True)
class ContaminationIndex:
    """Everything that training rows are checked against: one entry an item and n-gram."""

    ngram: int
    items: pa.Table
    """`suite, task, id` of each item."""
    grams: Hashes
    """Sorted; `owners[i]` is the item of `grams[i]`."""
    owners: npt.NDArray[np.int64]
    seen: npt.NDArray[np.uint8]
    """A bit for the low bits of each n-gram: most that match none are told apart here."""
    wholes: dict[bytes, list[int]]
    """Key of a whole question -> its item in each suite that has it."""

    def matches(self, rows: pa.Table, question: pa.Array, everything: pa.Array) -> pa.Table:
        """Of rows with `uid, mixture, task`: a MATCH_SCHEMA row for each pair that overlaps.

        `question` and `everything` are the rows' normalised texts.
        """
        whole = {
            (row, item)
            for row, text in enumerate(question.to_pylist())
            for item in self.wholes.get(key(text), ())
        }
        ngram = set(self._ngram_pairs(everything)) - whole
        pairs = [*sorted(whole), *sorted(ngram)]
        left = rows.take(pa.array([row for row, _ in pairs], pa.int64()))
        right = self.items.take(pa.array([item for _, item in pairs], pa.int64()))
        return pa.table(
            [
                left["uid"], left["mixture"], left["task"],
                right["suite"], right["task"], right["id"],
                pa.array(["whole"] * len(whole) + ["ngram"] * len(ngram), pa.string()),
            ],
            schema=MATCH_SCHEMA,
        )  # fmt: skip

    def _ngram_pairs(self, texts: pa.Array) -> Iterator[tuple[int, int]]:
        """(row, item) that share an n-gram."""
        grams = Words.of(texts).grams(self.ngram)
        maybe = np.flatnonzero(self.seen[_low(grams.hashes)])
        hashes, rows = grams.hashes[maybe], grams.rows[maybe]
        first = np.searchsorted(self.grams, hashes, "left")
        counts = np.searchsorted(self.grams, hashes, "right") - first
        at = np.repeat(rows, counts)
        offset = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
        item = self.owners[np.repeat(first, counts) + offset]
        pairs = np.unique(np.stack([at, item], 1), axis=0)
        yield from zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True)


def _low(hashes: Hashes) -> npt.NDArray[np.int64]:
    return (hashes & np.uint64((1 << _BITS) - 1)).astype(np.int64)


@cached_by_file(maxsize=2)
def load_contamination_index(path: Path, ngram: int, max_items: int) -> ContaminationIndex:
    """The guard of `eval_items.parquet` (columns suite, task, id, question, text)."""
    table = pq.read_table(path)
    suites = table["suite"].combine_chunks().dictionary_encode().indices.to_numpy()
    texts = normalised(table["text"].combine_chunks())
    grams = Words.of(texts).grams(ngram)
    pairs = np.unique(np.stack([grams.hashes, grams.rows.astype(np.uint64)], 1), axis=0)
    hashes, owners = pairs[:, 0], pairs[:, 1].astype(np.int64)
    kept = ~_boilerplate(hashes, suites[owners] if len(owners) else owners, max_items)
    hashes, owners = hashes[kept], owners[kept]
    seen = np.zeros(1 << _BITS, np.uint8)
    seen[_low(hashes)] = 1
    return ContaminationIndex(
        ngram=ngram,
        items=table.select(["suite", "task", "id"]),
        grams=hashes,
        owners=owners,
        seen=seen,
        wholes=_wholes(table, suites),
    )


def _boilerplate(
    hashes: Hashes, suites: npt.NDArray[np.int64], max_items: int
) -> npt.NDArray[np.bool_]:
    """Which (n-gram, item) entries belong to an n-gram that too many items of a suite share."""
    together = np.stack([hashes, suites.astype(np.uint64)], 1)
    _, where, counts = np.unique(together, axis=0, return_inverse=True, return_counts=True)
    many: npt.NDArray[np.bool_] = (counts > max_items)[where.reshape(-1)]
    return many


def _wholes(table: pa.Table, suites: npt.NDArray[np.int64]) -> dict[bytes, list[int]]:
    """A question that two items of a suite share ("Which of these is true?") names neither."""
    questions = normalised(table["question"].combine_chunks())
    words = pc.add(pc.count_substring(questions, " "), 1).to_pylist()
    owners: dict[tuple[int, bytes], list[int]] = {}
    for item, (question, size) in enumerate(zip(questions.to_pylist(), words, strict=True)):
        if size >= WHOLE_WORDS:
            owners.setdefault((int(suites[item]), key(question)), []).append(item)
    found: dict[bytes, list[int]] = {}
    for (_, name), items in owners.items():
        if len(items) == 1:
            found.setdefault(name, []).extend(items)
    return found
