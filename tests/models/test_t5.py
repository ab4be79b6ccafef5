"""T5 against itself, packed and cached; against transformers it is tested in test_interchange."""

import pytest
import torch

from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig

SIZES = {"vocab_size": 96, "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8, "num_layers": 3}
MOE = MoEConfig(num_experts=4, moe_every=2, capacity_factor_train=None, capacity_factor_eval=None)


def ours(**changes):
    return T5(ModelConfig(**{**SIZES, **changes})).reset_parameters(1).eval()


@pytest.mark.parametrize("moe", [None, MOE])
def test_cached_steps_equal_one_pass(moe):
    model = ours(moe=moe, activation="relu")
    tokens, target = torch.randint(2, 96, (3, 10)), torch.randint(2, 96, (3, 7))
    segments = torch.ones_like(tokens)
    segments[0, 6:] = 0
    with torch.no_grad():
        memory = model.encode(tokens, segments)
        whole = model.decode(target, torch.ones_like(target), memory, segments)
        state = model.start_decoding(memory, segments, 9)
        steps = torch.stack([model.step(target[:, i], state) for i in range(7)], 1)
    torch.testing.assert_close(steps, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("moe", [None, MOE])
def test_packed_examples_do_not_see_each_other(moe):
    model = ours(moe=moe, activation="relu")
    first, second = torch.randint(2, 96, (1, 5)), torch.randint(2, 96, (1, 4))
    y1, y2 = torch.randint(2, 96, (1, 3)), torch.randint(2, 96, (1, 2))
    pad = torch.zeros(1, 2, dtype=torch.long)
    tokens, target = torch.cat([first, second, pad], 1), torch.cat([y1, y2, pad], 1)
    segments = torch.tensor([[1] * 5 + [2] * 4 + [0] * 2])
    target_segments = torch.tensor([[1] * 3 + [2] * 2 + [0] * 2])

    def alone(x, y):
        return model(x, torch.ones_like(x), y, torch.ones_like(y))

    with torch.no_grad():
        packed = model(tokens, segments, target, target_segments)
        torch.testing.assert_close(packed[:, :3], alone(first, y1), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(packed[:, 3:5], alone(second, y2), atol=1e-5, rtol=1e-5)


def test_same_seed_same_weights_and_global_random_state_untouched():
    before = torch.get_rng_state()
    one, two = ours(moe=MOE), ours(moe=MOE)
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
        assert torch.isfinite(tensor).all(), name


def test_moe_layers_stand_in_every_second_block():
    model = T5(ModelConfig(**{**SIZES, "num_layers": 4}, moe=MOE))
    assert sorted(model.moe_layers()) == [
        "decoder.blocks.1.feed_forward",
        "decoder.blocks.3.feed_forward",
        "encoder.blocks.1.feed_forward",
        "encoder.blocks.3.feed_forward",
    ]
    assert model.state_dict()["encoder.blocks.1.feed_forward.experts.wi_EDF"].shape == (4, 32, 64)
