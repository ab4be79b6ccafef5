"""Overlaps between training rows and evaluation items (decontamination).

Compared are the inputs and the targets of a row, each as the model reads it: template, definition
and exemplars included. A row overlaps with an item if

- it contains n consecutive words (13, as in GPT-3: arXiv 2005.14165, appendix C) of the item's
  context, of its question, or of an option;
- it contains an item that is too short for that (see `short_items`), or its complete text;
- its question, without the template, equals the item's question.

No n-gram spans two fields. An n-gram that many items of a suite contain, and a question of several
items of a suite, are boilerplate and are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.cleaning.item_fields import ItemFields, collect_fields
from data_pipelines.cleaning.phrases import PhraseIndex, Phrases
from data_pipelines.cleaning.short_items import ShortItem, contains_item
from data_pipelines.cleaning.words import HashedWords, combine, digest, normalise_lists
from data_pipelines.file_cache import cached_by_file

MIN_QUESTION_WORDS = 3
"""Shorter questions are too unspecific for an exact match to indicate contamination."""

MATCH_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("mixture", pa.string()),
        ("task", pa.string()),
        ("suite", pa.string()),
        ("suite_task", pa.string()),
        ("item", pa.string()),
        # "question", "ngram" or "short_item": the first of these that applies.
        ("match", pa.string()),
    ]
)
Pairs = set[tuple[int, int]]
"""Indices of rows and items."""


@dataclass(frozen=True, kw_only=True)
class ContaminationIndex:
    """Index of all evaluation items."""

    items: pa.Table
    """Columns `suite, task, id`, one row per item."""
    fields: ItemFields
    ngrams: PhraseIndex
    """The specific n-grams of each field; the owner of a phrase is a field."""
    short_questions: PhraseIndex
    """The questions without a specific n-gram, and the complete text of their items; the owner of a
    phrase is a field."""
    short_items: dict[int, list[tuple[int, ShortItem]]]
    """Field of `short_questions` -> its items, by index."""
    items_by_question: dict[bytes, list[int]]
    """Digest of a question -> indices into `items`, at most one per suite."""

    def find_matches(
        self, rows: pa.Table, question: pa.Array, inputs: pa.Array, targets: pa.Array
    ) -> pa.Table:
        """Find the overlaps of training rows with evaluation items.

        Args:
            rows: training rows, with columns `uid, mixture, task, inputs, targets`.
            question: normalised question of each row, string [num_rows].
            inputs: normalised inputs of each row, string [num_rows].
            targets: normalised targets of each row, string [num_rows].

        Returns:
            A row of MATCH_SCHEMA per overlapping pair of row and item.
        """
        by_question = {
            (row, item)
            for row, text in enumerate(question.to_pylist())
            for item in self.items_by_question.get(digest(text), ())
        }
        by_ngram: Pairs = set()
        by_short_item: Pairs = set()
        for name, texts in (("inputs", inputs), ("targets", targets)):
            words = HashedWords.from_texts(texts)
            by_ngram.update(self._find_ngrams(words))
            by_short_item.update(self._find_short_items(words, rows[name], texts))
        by_ngram -= by_question
        by_short_item -= by_question | by_ngram
        pairs, kinds = [], []
        for kind, matches in (
            ("question", by_question), ("ngram", by_ngram), ("short_item", by_short_item),
        ):  # fmt: skip
            pairs += sorted(matches)
            kinds += [kind] * len(matches)
        train = rows.take(pa.array([row for row, _ in pairs], pa.int64()))
        items = self.items.take(pa.array([item for _, item in pairs], pa.int64()))
        return pa.table(
            [
                train["uid"], train["mixture"], train["task"],
                items["suite"], items["task"], items["id"],
                pa.array(kinds, pa.string()),
            ],
            schema=MATCH_SCHEMA,
        )  # fmt: skip

    def _find_ngrams(self, words: HashedWords) -> Iterator[tuple[int, int]]:
        """Yield each pair of row and item with a common specific n-gram."""
        for row, field in _zip(self.ngrams.search(words)):
            for item in self.fields.items[field]:
                yield row, item

    def _find_short_items(
        self, words: HashedWords, raw_texts: pa.ChunkedArray, texts: pa.Array
    ) -> Iterator[tuple[int, int]]:
        """Yield each pair of row and short item that the row contains."""
        for row, field in _zip(self.short_questions.search(words)):
            raw_text, text = raw_texts[row].as_py(), texts[row].as_py()
            for item, short_item in self.short_items[field]:
                if contains_item(raw_text, text, short_item):
                    yield row, item


def _zip(pairs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> Iterator[tuple[int, int]]:
    yield from zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)


@cached_by_file(maxsize=2)
def load_contamination_index(path: Path, n: int, max_items: int) -> ContaminationIndex:
    """Build the index of evaluation items.

    Args:
        path: eval_items.parquet, with EVAL_ITEM_SCHEMA.
        n: number of words of an n-gram.
        max_items: largest number of items of a suite that may contain an n-gram; n-grams in more
            items are ignored. A context that several items share counts once.
    """
    table = pq.read_table(path)
    fields = collect_fields(table)
    words = HashedWords.from_texts(fields.texts)
    ngrams = _specific_ngrams(words, fields, n, max_items)
    has_ngram = np.zeros(len(fields.suites), np.bool_)
    has_ngram[ngrams.owners] = True
    short_items, items_by_question = _index_questions(table, fields, has_ngram)
    short_questions = np.array(sorted(short_items), np.int64)
    return ContaminationIndex(
        items=table.select(["suite", "task", "id"]),
        fields=fields,
        ngrams=PhraseIndex(ngrams, n),
        short_questions=PhraseIndex(Phrases.of_texts(words, short_questions, n), n),
        short_items=short_items,
        items_by_question=items_by_question,
    )


def _specific_ngrams(words: HashedWords, fields: ItemFields, n: int, max_items: int) -> Phrases:
    """Return the n-grams that are not boilerplate: in more than `max_items` items of a suite."""
    grams = words.ngrams(n)
    _, first = np.unique(combine(grams.hashes, grams.rows), return_index=True)
    first = first[grams.rows[first] < fields.first_text]
    hashes, owners = grams.hashes[first], grams.rows[first]
    in_suite = combine(hashes, fields.suites[owners])
    _, inverse = np.unique(in_suite, return_inverse=True)
    counts = np.bincount(inverse, fields.weights[owners])[inverse]
    specific = ~np.isin(hashes, hashes[counts > max_items])
    hashes, owners = hashes[specific], owners[specific]
    lengths = np.full(len(hashes), n, np.int64)
    return Phrases(anchors=hashes, hashes=hashes, lengths=lengths, owners=owners)


def _index_questions(
    table: pa.Table, fields: ItemFields, has_ngram: npt.NDArray[np.bool_]
) -> tuple[dict[int, list[tuple[int, ShortItem]]], dict[bytes, list[int]]]:
    """Return the short items by field, and the items by the digest of their question.

    A question that two items of a suite share ("Which of these is true?") identifies neither.

    Args:
        table: all items.
        fields: their fields.
        has_ngram: mask of the fields that have a specific n-gram.
    """
    short_items: dict[int, list[tuple[int, ShortItem]]] = {}
    items_by_question: dict[bytes, list[int]] = {}
    texts = table["text"].to_pylist()
    questions, options = table["question"].to_pylist(), normalise_lists(table["options"])
    for field, items in fields.items_by_question.items():
        words = fields.texts[field].as_py()
        num_words = words.count(" ") + 1
        is_unique = len(items) == 1 and num_words >= MIN_QUESTION_WORDS
        if is_unique:
            items_by_question.setdefault(digest(words), []).extend(items)
        if not has_ngram[field]:
            short_items[field] = [
                (item, ShortItem(words, questions[item], tuple(options[item]), is_unique))
                for item in items
            ]
    without_ngram = {item for items in short_items.values() for item, _ in items}
    for field in range(fields.first_text, len(fields.texts)):
        items = [item for item in fields.items[field] if item in without_ngram]
        if items:
            text, words = texts[items[0]], fields.texts[field].as_py()
            is_unique = len(fields.items[field]) == 1 and words.count(" ") >= MIN_QUESTION_WORDS - 1
            short_items[field] = [(item, ShortItem(words, text, (), is_unique)) for item in items]
    return short_items, items_by_question
