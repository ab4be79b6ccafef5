import pytest
import torch

from models.architecture.dropout import Dropout
from models.config import MoEConfig
from tests.models.architecture.factories import small_t5
from tests.models.factories import tiny_config


@pytest.mark.parametrize("is_shared", [False, True])
def test_dropout_mask_is_shared_along_the_length_if_configured(is_shared):
    torch.manual_seed(0)
    config = tiny_config(dropout=0.25, dropout_shared_along_length=is_shared)
    y = Dropout(config).train()(torch.ones(64, 12, 32))
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.04)
    is_constant_row = bool((y == y[:, :1]).all())
    assert is_constant_row == is_shared
    # Rows have masks of their own.
    assert not torch.equal(y[0], y[1])


def test_dropout_in_evaluation_changes_nothing():
    x = torch.randn(2, 3, 8)
    assert torch.equal(Dropout(tiny_config(dropout=0.5)).eval()(x), x)


def test_dropout_shared_along_the_length_trains_a_model():
    moe = MoEConfig(num_experts=4, expert_dropout=0.1)
    model = small_t5(moe=moe, dropout=0.2, dropout_shared_along_length=True).train()
    tokens = torch.randint(2, 96, (2, 9))
    ones = torch.ones_like(tokens)
    first, second = (model(tokens, ones, tokens, ones) for _ in range(2))
    assert not torch.equal(first, second)
    first.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
