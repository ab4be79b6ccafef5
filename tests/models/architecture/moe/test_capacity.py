import pytest

from models.architecture.moe.capacity import expert_capacity, min_drop_share
from models.config import MoEConfig


def moe(num_experts, factor, **fields):
    return MoEConfig(num_experts=num_experts, capacity_factor_train=factor, **fields)


@pytest.mark.parametrize(
    ("num_tokens", "config", "expected"),
    [
        # Switch, section 2.2: 1,024 tokens over 128 experts at 1.25.
        (1024, moe(128, 1.25), 10),
        # flaxformer's st_moe_base: top-2 does not double the capacity.
        (4096, moe(16, 1.25, router="st_moe", top_k=2), 320),
        # GShard: 2 * tokens / experts.
        (4096, moe(128, 2.0, router="gshard", top_k=2), 64),
        # Rounded, half to even, as Python and flaxformer do.
        (10, moe(4, 1.0, min_capacity=1), 2),
        (14, moe(4, 1.0, min_capacity=1), 4),
        (11, moe(4, 1.0, min_capacity=1), 3),
        # Tutel: per assignment, rounded up.
        (4096, moe(16, 1.25, router="st_moe", top_k=2, capacity_per="assignment"), 640),
        (10, moe(4, 1.0, min_capacity=1, capacity_per="assignment"), 3),
        # Never below min_capacity, never above the tokens.
        (8, moe(128, 1.25), 4),
        (2, moe(128, 1.25), 2),
        (100, moe(8, None), 100),
    ],
)
def test_expert_capacity_is_as_published(num_tokens, config, expected):
    assert expert_capacity(num_tokens, config, training=True) == expected


def test_expert_capacity_in_evaluation_has_a_factor_of_its_own():
    config = MoEConfig(num_experts=4, capacity_factor_train=1.0, capacity_factor_eval=3.0)
    assert expert_capacity(16, config, training=False) == 12


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (moe(16, 1.25, router="st_moe", top_k=2), 0.375),
        (moe(16, 2.0, router="gshard", top_k=2), 0.0),
        (moe(16, 1.25), 0.0),
        (moe(16, 0.5), 0.5),
        (moe(16, 1.25, router="st_moe", top_k=2, capacity_per="assignment"), 0.0),
        (moe(16, None, router="st_moe", top_k=2), 0.0),
        (moe(16, 0.5, router="expert_choice", decoder_router="switch"), 0.0),
    ],
)
def test_min_drop_share_is_that_of_equal_loads(config, expected):
    assert min_drop_share(config) == pytest.approx(expected)
