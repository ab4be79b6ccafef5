"""T5 with packed rows and cached decoding; tests/models/interchange compares it to transformers."""

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
