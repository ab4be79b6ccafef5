"""T5 with packed rows and cached decoding; tests/models/interchange compares it to transformers."""

import dataclasses

import pytest
import torch

from models.config import MoEConfig
from tests.models.architecture.factories import small_t5

MOE = MoEConfig(num_experts=4, moe_every=2, capacity_factor_train=None, capacity_factor_eval=None)


@pytest.mark.parametrize("moe", [None, MOE])
def test_decode_step_equals_decode(moe):
    model = small_t5(moe=moe, activation="relu")
    tokens, target = torch.randint(2, 96, (3, 10)), torch.randint(2, 96, (3, 7))
    segments = torch.ones_like(tokens)
    segments[0, 6:] = 0
    with torch.no_grad():
        memory = model.encode(tokens, segments)
        expected = model.decode(target, torch.ones_like(target), memory, segments)
        state = model.start_decoding(memory, segments, 9)
        steps = torch.stack([model.decode_step(target[:, i], state) for i in range(7)], 1)
    torch.testing.assert_close(steps, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("moe", [None, MOE])
def test_packed_examples_have_the_logits_of_single_examples(moe):
    model = small_t5(moe=moe, activation="relu")
    x1, x2 = torch.randint(2, 96, (1, 5)), torch.randint(2, 96, (1, 4))
    y1, y2 = torch.randint(2, 96, (1, 3)), torch.randint(2, 96, (1, 2))
    padding = torch.zeros(1, 2, dtype=torch.long)
    tokens, target = torch.cat([x1, x2, padding], 1), torch.cat([y1, y2, padding], 1)
    segments = torch.tensor([[1] * 5 + [2] * 4 + [0] * 2])
    target_segments = torch.tensor([[1] * 3 + [2] * 2 + [0] * 2])

    def single(x, y):
        return model(x, torch.ones_like(x), y, torch.ones_like(y))

    with torch.no_grad():
        packed = model(tokens, segments, target, target_segments)
        torch.testing.assert_close(packed[:, :3], single(x1, y1), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(packed[:, 3:5], single(x2, y2), atol=1e-5, rtol=1e-5)


def test_reset_parameters_depends_on_the_seed_only_and_preserves_the_random_state():
    before = torch.get_rng_state()
    first, second = small_t5(moe=MOE), small_t5(moe=MOE)
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
        assert torch.isfinite(tensor).all(), name


def test_moe_layers_are_in_every_second_block():
    model = small_t5(num_layers=4, moe=MOE)
    assert sorted(model.moe_layers()) == [
        "decoder.blocks.1.feed_forward",
        "decoder.blocks.3.feed_forward",
        "encoder.blocks.1.feed_forward",
        "encoder.blocks.3.feed_forward",
    ]
    assert model.state_dict()["encoder.blocks.1.feed_forward.experts.wi_EDF"].shape == (4, 32, 64)


def test_block_with_dense_after_moe_adds_a_layer_with_its_own_norm():
    """flaxformer's SparseEncoderLayer: y = block(x); y + mlp(norm(y))."""
    moe = dataclasses.replace(MOE, dense_after_moe=True)
    model, plain = small_t5(moe=moe, activation="relu"), small_t5(moe=MOE, activation="relu")
    block, plain_block = model.encoder.layers()[1], plain.encoder.layers()[1]
    extra = {n: p for n, p in block.state_dict().items() if n.startswith("extra_")}
    assert sorted(extra) == ["extra_feed_forward.wi", "extra_feed_forward.wo", "extra_norm.weight"]
    assert not any(n.startswith("extra_") for n in model.encoder.layers()[0].state_dict())
    torch.nn.init.normal_(block.extra_norm.weight, mean=1.0, std=0.3)
    own = {n: p for n, p in block.state_dict().items() if n not in extra}
    plain_block.load_state_dict(own)
    d = model.config.d_model
    x, bias, valid = torch.randn(2, 5, d), torch.zeros(1, 1, 5, 5), torch.ones(2, 5).bool()
    with torch.no_grad():
        y = plain_block(x, bias, valid)
        h = y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt() * extra["extra_norm.weight"]
        wi, wo = extra["extra_feed_forward.wi"], extra["extra_feed_forward.wo"]
        expected = y + (h @ wi.t()).relu() @ wo.t()
        torch.testing.assert_close(block(x, bias, valid), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("init_scale", [1.0, 0.1])
def test_reset_parameters_has_the_published_scale(init_scale):
    """T5X: variance scale / fan-in, q / sqrt(d_kv), relative bias scale / mean of its sides."""
    model = small_t5(
        moe=MOE, activation="gated_gelu", init_scale=init_scale, d_model=64, d_ff=128, num_heads=8,
        d_kv=16, vocab_size=2000,
    )  # fmt: skip
    block = model.decoder.layers()[1]
    bias = torch.cat([s.position_bias.weight for s in (model.encoder, model.decoder)])
    dense = model.decoder.layers()[0].feed_forward
    expected = {
        "q": (block.attention.q, 1 / 64 / 16),
        "k": (block.attention.k, 1 / 64),
        "o": (block.cross_attention.o, 1 / 128),
        "wi": (dense.wi, 1 / 64),
        "wo": (dense.wo, 1 / 128),
        "experts.wg": (block.feed_forward.experts.wg_EDF, 1 / 64),
        "experts.wo": (block.feed_forward.experts.wo_EFD, 1 / 128),
        "head": (model.head, 1 / 64),
        "position bias": (bias, 1 / ((32 + 8) / 2)),
    }
    for name, (weight, variance) in expected.items():
        assert float(weight.detach().var()) == pytest.approx(variance * init_scale, rel=0.15), name
    assert float(bias.detach().abs().max()) <= (3 * init_scale / 20) ** 0.5
    assert float(model.embedding.detach().std()) == pytest.approx(1.0, rel=0.05)
    assert float(block.feed_forward.router.weight.detach().std()) == pytest.approx(0.02, rel=0.15)
