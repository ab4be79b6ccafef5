"""Vectorised n-grams are equal to those of the reference implementation."""

import numpy as np
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_pipelines.cleaning.words import HashedWords, join_texts, normalise
from tests.data_pipelines.cleaning.ngrams import split_ngrams, split_words

TEXTS = st.lists(st.text(alphabet="aBé1 .,\n-_", max_size=30), min_size=1, max_size=12)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_ngrams_of_any_texts_equal_the_reference(texts, n):
    # A text without words counts as one empty word, which only a 1-gram can contain.
    assume(n > 1 or all(split_words(text) for text in texts))
    grams = HashedWords.from_texts(normalise(pa.array(texts))).ngrams(n)
    expected = [gram for text in texts for gram in split_ngrams(text, n)]
    assert np.diff(grams.offsets).tolist() == [len(split_ngrams(text, n)) for text in texts]
    # Hashes are equal exactly where the n-grams are.
    assert len(set(zip(expected, grams.hashes.tolist(), strict=True))) == len(set(expected))
    assert len(set(grams.hashes.tolist())) == len(set(expected))


def test_rows_gives_the_text_of_each_hash():
    words = HashedWords.from_texts(pa.array(["a b", "c", "d e f"]))
    assert words.rows.tolist() == [0, 0, 1, 2, 2, 2]


def test_join_texts_puts_single_spaces_between_words():
    a, b = normalise(pa.array(["A b!", "", " c"])), normalise(pa.array(["", "", "d"]))
    assert join_texts(a, b).to_pylist() == ["a b", "", "c d"]
