"""Pre-training objectives: T5's masks, invertible pairs that fit into a row, no token lost."""

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.packing.pretraining import corrupt_spans, make_pairs, prefix_lm
from data_pipelines.params import PackParams

FIRST_SENTINEL = 10_000


class FakeVocabulary:
    """Sentinels with ids from FIRST_SENTINEL down, and no pieces."""

    def __init__(self, num_sentinels=100):
        self.num_sentinels = num_sentinels

    def sentinel_id(self, index):
        assert index < self.num_sentinels
        return FIRST_SENTINEL - index


def is_sentinel(token):
    return token > FIRST_SENTINEL - 100


def fill_spans(inputs, targets):
    """Return the text: each sentinel of the inputs replaced by its span in the targets."""
    span_by_sentinel, span = {}, None
    for token in targets:
        if is_sentinel(token):
            span = span_by_sentinel.setdefault(token, [])
        else:
            span.append(token)
    return [t for token in inputs for t in span_by_sentinel.get(token, [token])]


def t5_pair(tokens, is_noise):
    """Convert a mask to a pair as T5's two functions of the mask do, token by token.

    Inputs: each run of masked tokens becomes the next sentinel. Targets: each run of visible tokens
    becomes the next sentinel.
    """
    sides = []
    for hidden in (True, False):
        side, num_runs, previous = [], 0, None
        for token, noise in zip(tokens, is_noise, strict=True):
            if noise is not hidden:
                side.append(token)
            elif previous is not hidden:
                side.append(FIRST_SENTINEL - num_runs)
                num_runs += 1
            previous = noise
        sides.append(side)
    return tuple(sides)


@given(
    st.integers(2, 300),
    st.floats(0.001, 0.999),
    st.floats(1, 20),
    st.integers(8, 128),
    st.integers(8, 128),
    st.integers(1, 100),
    st.integers(0, 1000),
)
def test_span_corruption_pairs_fit_and_restore_the_text(
    length, density, span_length, encoder_length, decoder_length, num_sentinels, seed
):
    tokens = list(range(2, 2 + length))
    params = PackParams(
        encoder_length=encoder_length,
        decoder_length=decoder_length,
        noise_density=density,
        mean_noise_span_length=span_length,
        seed=seed,
    )
    pairs = make_pairs(tokens, "span_corruption", FakeVocabulary(num_sentinels), params, 0)
    assert [t for pair in pairs for t in fill_spans(*pair)] == tokens
    for inputs, targets in pairs:
        assert len(inputs) < encoder_length
        assert len(targets) < decoder_length


@given(st.integers(2, 400), st.integers(8, 128), st.integers(8, 128), st.integers(0, 1000))
def test_prefix_lm_pairs_fit_and_contain_each_token_once(
    length, encoder_length, decoder_length, seed
):
    tokens = list(range(length))
    params = PackParams(encoder_length=encoder_length, decoder_length=decoder_length, seed=seed)
    pairs = make_pairs(tokens, "prefix_lm", FakeVocabulary(), params, 0)
    assert [t for inputs, targets in pairs for t in inputs + targets] == tokens
    for inputs, targets in pairs:
        assert 0 < len(inputs) < encoder_length
        assert 0 < len(targets) < decoder_length


@given(st.integers(7, 500), st.integers(0, 1000))
def test_corrupt_spans_is_t5s_pair_of_its_mask(length, seed):
    """The number of masked tokens and spans, and both sides, are those of T5's preprocessors."""
    tokens = list(range(2, 2 + length))
    inputs, targets = corrupt_spans(tokens, FakeVocabulary(), PackParams(), random.Random(seed))
    is_noise = [token not in inputs for token in tokens]
    assert t5_pair(tokens, is_noise) == (inputs, targets)
    assert sum(is_noise) == max(1, round(0.15 * length))
    num_spans = sum(map(is_sentinel, targets))
    assert num_spans == max(1, round(sum(is_noise) / 3))
    # The first span is visible and the last one masked, so no sentinel closes the targets.
    assert not is_noise[0]
    assert is_noise[-1]
    assert not is_sentinel(targets[-1])


@pytest.mark.parametrize("density", [0.0001, 0.5, 0.99])
@pytest.mark.parametrize("span_length", [1.0, 3.0, 1000.0])
@pytest.mark.parametrize("length", [2, 3, 10, 100])
def test_corrupt_spans_at_extreme_noise_restores_the_text(density, span_length, length):
    tokens = list(range(length))
    params = PackParams(noise_density=density, mean_noise_span_length=span_length)
    pair = corrupt_spans(tokens, FakeVocabulary(), params, random.Random(0))
    assert fill_spans(*pair) == tokens


def test_prefix_lm_splits_uniformly_if_the_decoder_is_as_long_as_the_encoder():
    params = PackParams(encoder_length=12, decoder_length=12)
    rng = random.Random(0)
    sizes = [len(prefix_lm(list(range(11)), params, rng)[0]) for _ in range(4000)]
    assert set(sizes) == set(range(1, 11))
    assert mean(sizes) == pytest.approx(5.5, abs=0.2)


@pytest.mark.parametrize(
    ("share", "length", "sizes"),
    [(0.25, 5, {1}), (0.25, 8, {1, 2}), (0.5, 8, {1, 2, 3, 4}), (0.01, 8, {1}), (0.25, 2, {1})],
)
def test_prefix_lm_target_has_at_most_the_configured_share(share, length, sizes):
    params = PackParams(prefix_lm_target_share=share)
    pairs = [prefix_lm(list(range(length)), params, random.Random(seed)) for seed in range(100)]
    assert {len(targets) for _, targets in pairs} == sizes
    assert all(inputs + targets == list(range(length)) for inputs, targets in pairs)


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_make_pairs_of_a_single_token_is_empty(objective):
    assert make_pairs([5], objective, FakeVocabulary(), PackParams(), 0) == []


def test_make_pairs_with_the_same_index_is_reproducible():
    tokens = list(range(300))
    first, second, other = (
        make_pairs(tokens, "prefix_lm", FakeVocabulary(), PackParams(), index)
        for index in (3, 3, 4)
    )
    assert first == second
    assert first != other
