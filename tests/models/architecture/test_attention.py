"""Attention: the relative position bias against its definition, and its memory layout."""

import math

import pytest
import torch
from torch.nn import functional as F

from models.architecture.attention import RelativePositionBias
from tests.models.architecture.factories import small_t5


def reference_bucket(distance, *, bidirectional, num_buckets=32, max_distance=128):
    """Bucket of one distance in plain Python (Raffel et al., arXiv 1910.10683, section 2.1)."""
    offset = 0
    if bidirectional:
        num_buckets //= 2
        offset = num_buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = num_buckets // 2
    if distance < exact:
        return offset + distance
    scale = math.log(distance / exact) / math.log(max_distance / exact)
    return offset + min(exact + int(scale * (num_buckets - exact)), num_buckets - 1)


def position_bias(*, bidirectional):
    model = small_t5()
    return model.encoder.position_bias if bidirectional else model.decoder.position_bias


@pytest.mark.parametrize("bidirectional", [True, False])
def test_bucket_of_every_distance_equals_the_definition(bidirectional):
    # Distances whose logarithm is a whole number of buckets round differently in float32.
    distances = [d for d in range(-300, 301) if abs(d) not in (16, 32, 64, 128)]
    buckets = position_bias(bidirectional=bidirectional).bucket(torch.tensor(distances))
    expected = [reference_bucket(d, bidirectional=bidirectional) for d in distances]
    assert buckets.tolist() == expected


@pytest.mark.parametrize("bidirectional", [True, False])
def test_bias_holds_the_weight_of_each_bucket(bidirectional):
    module = position_bias(bidirectional=bidirectional)
    position = torch.arange(40)
    bias_1HLS = module(position, position)
    assert bias_1HLS.shape == (1, 4, 40, 40)
    for query in (0, 17, 39):
        for key in (0, 5, 38):
            bucket = module.bucket(torch.tensor(key - query))
            assert torch.equal(bias_1HLS[0, :, query, key], module.weight[bucket])


def test_bias_is_contiguous_where_attention_reads_it(monkeypatch):
    """A GPU's fused attention needs stride 1 in the bias's last dimension."""
    masks = []
    attention = F.scaled_dot_product_attention

    def record_mask(*inputs, attn_mask, **options):
        masks.append(attn_mask)
        return attention(*inputs, attn_mask=attn_mask, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", record_mask)
    tokens = torch.randint(2, 90, (3, 11))
    segments = torch.ones_like(tokens)
    small_t5()(tokens, segments, tokens, segments)
    assert len(masks) == 9  # 3 encoder layers, 3 decoder layers with cross-attention
    assert all(mask.stride(-1) == 1 for mask in masks)
    assert isinstance(position_bias(bidirectional=True), RelativePositionBias)
    position = torch.arange(5)
    assert position_bias(bidirectional=True)(position, position).is_contiguous()
