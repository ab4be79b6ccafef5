"""Estimated Jaccard similarities are close to the exact similarities."""

import random

import numpy as np
import pyarrow as pa
import pytest

from data_pipelines.cleaning.duplicates import (
    NUM_MINIMA,
    compute_signatures,
    estimate_similarity,
)
from tests.data_pipelines.cleaning.ngrams import split_ngrams


def text_minima(texts):
    """Return the low 8 bits of the texts' minima, uint8 [num_texts, NUM_MINIMA]."""
    empty = pa.array([""] * len(texts))
    uids = pa.array([str(i) for i in range(len(texts))])
    table = compute_signatures(uids, empty, pa.array(texts), empty)
    minima = b"".join(table["text_minima"].to_pylist())
    return np.frombuffer(minima, np.uint8).reshape(-1, NUM_MINIMA)


def test_estimate_similarity_is_close_to_the_jaccard_similarity():
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(500)]
    first, second = [], []
    for _ in range(60):
        words = rng.choices(vocabulary, k=120)
        first.append(" ".join(words))
        for place in rng.sample(range(120), rng.randrange(0, 30)):
            words[place] = rng.choice(vocabulary)
        second.append(" ".join(words))
    estimate = estimate_similarity(text_minima(first), text_minima(second))
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        x, y = set(split_ngrams(a, 5)), set(split_ngrams(b, 5))
        # With 128 minima the standard error is at most 0.044.
        assert estimate[i] == pytest.approx(len(x & y) / len(x | y), abs=0.16)
