"""Pre-training objectives: span corruption can be inverted, and pairs fit into a row."""

import random

from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.packing.pretraining import corrupt_spans, make_pair, prefix_lm
from data_pipelines.params import PackParams


class FakeVocabulary:
    """Eight sentinels with ids from 1000 down, and no pieces."""

    num_sentinels = 8

    def sentinel_id(self, index):
        return 1000 - index


@given(st.integers(4, 60), st.integers(0, 1000))
def test_corrupt_spans_can_be_inverted(length, seed):
    tokens = list(range(2, 2 + length))
    params = PackParams(encoder_length=100, decoder_length=100)
    inputs, targets = corrupt_spans(tokens, FakeVocabulary(), params, random.Random(seed))
    span_by_sentinel, span = {}, None
    for token in targets:
        if token > 900:
            span = span_by_sentinel.setdefault(token, [])
        else:
            span.append(token)
    restored = [t for token in inputs for t in span_by_sentinel.get(token, [token])]
    assert restored == tokens
    assert sum(map(len, span_by_sentinel.values())) == max(1, round(0.15 * length))


def test_prefix_lm_splits_the_text():
    params = PackParams(encoder_length=100, decoder_length=100)
    inputs, targets = prefix_lm(list(range(10)), params, random.Random(1))
    assert inputs + targets == list(range(10))
    assert inputs
    assert targets


def test_make_pair_of_a_long_text_fits_the_row():
    params = PackParams(encoder_length=16, decoder_length=8)
    for index in range(50):
        inputs, targets = make_pair(list(range(2, 42)), FakeVocabulary(), params, index)
        assert len(inputs) < 16
        assert len(targets) < 8


def test_make_pair_of_fewer_than_four_tokens_is_none():
    assert make_pair([5, 6, 7], FakeVocabulary(), PackParams(), 0) is None


def test_make_pair_with_the_same_index_is_reproducible():
    pairs = [make_pair(list(range(30)), FakeVocabulary(), PackParams(), 3) for _ in range(2)]
    assert pairs[0] == pairs[1]
