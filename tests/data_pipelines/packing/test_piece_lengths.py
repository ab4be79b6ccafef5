"""Lengths of the pieces of pre-training texts, against T5's published ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.packing.piece_lengths import (
    count_noise,
    describe_sentinel_shortage,
    max_piece_tokens,
    piece_sizes,
)
from data_pipelines.params import PackParams

T5 = PackParams(encoder_length=512, decoder_length=128)


def test_max_piece_tokens_of_span_corruption_is_that_of_t5():
    """With 512 inputs T5 reads 568 tokens and writes 114 (28 spans), end of sequence included."""
    assert max_piece_tokens("span_corruption", T5) == 568
    num_masked, num_spans = count_noise(568, T5)
    assert (568 - num_masked + num_spans + 1, num_masked + num_spans + 1) == (512, 114)
    assert num_spans == 28


def test_max_piece_tokens_is_limited_by_the_decoder():
    params = PackParams(encoder_length=512, decoder_length=48)
    assert count_noise(max_piece_tokens("span_corruption", params), params) == (35, 12)


def test_max_piece_tokens_of_prefix_lm_fills_the_encoder():
    assert max_piece_tokens("prefix_lm", T5) == 511


def test_describe_sentinel_shortage_names_the_number_and_the_length_at_which_it_holds():
    assert describe_sentinel_shortage(T5, 28) is None
    message = describe_sentinel_shortage(T5, 16)
    assert message.startswith("num_sentinels: 16 is too few for span corruption of pieces of 568")
    assert "have up to 28 spans; it suffices for pieces of 329 tokens" in message
    # round(0.15 * 329) = 49 masked tokens in round(49 / 3) = 16 spans; 330 tokens have 50 in 17.
    assert count_noise(329, T5) == (49, 16)
    assert count_noise(330, T5) == (50, 17)


def test_max_piece_tokens_with_few_sentinels_preserves_the_mean_span_length():
    tokens = max_piece_tokens("span_corruption", T5, 16)
    num_masked, num_spans = count_noise(tokens, T5)
    assert num_masked / num_spans == pytest.approx(3, abs=0.1)


@given(st.integers(1, 1000), st.integers(3, 200))
def test_piece_sizes_are_few_and_nearly_equal(num_tokens, max_tokens):
    sizes = piece_sizes(num_tokens, max_tokens)
    assert sum(sizes) == num_tokens
    assert max(sizes) <= max_tokens
    assert max(sizes) - min(sizes) <= 1
    assert (len(sizes) - 1) * max_tokens < num_tokens
