import torch

from tests.models.architecture.moe.factories import all_valid, build_layer, moe_model_config


def collapsed_layer(**moe_fields):
    """All tokens choose expert 0, which accepts 0.5 * 8 / 2 = 2 of 8."""
    layer = build_layer(moe_model_config("switch", 2, 0.5, **moe_fields))
    with torch.no_grad():
        layer.router.weight.copy_(torch.tensor([[1.0] * 8, [-1.0] * 8]))
    return layer


def test_tokens_beyond_capacity_are_dropped_in_order():
    layer = collapsed_layer()
    x = torch.rand(1, 8, 8) + 0.1
    y = layer(x, all_valid(x))
    assert layer.routing.token_A.tolist() == [0, 1]
    assert int(layer.routing.load.num_dropped) == 6
    assert layer.routing.load.requested_per_expert_E.tolist() == [8, 0]
    assert (y[0, 2:] == 0).all()


def test_batch_priority_drops_the_tokens_with_the_lowest_gate():
    layer = collapsed_layer(batch_priority=True)
    x = torch.full((1, 8, 8), 0.01) * torch.arange(1, 9)[None, :, None]
    layer(x, all_valid(x))
    assert sorted(layer.routing.token_A.tolist()) == [6, 7]


def test_first_choices_precede_second_choices():
    config = moe_model_config("st_moe", 3, 1.5)  # 1.5 * 4 / 3 = 2 tokens per expert
    layer = build_layer(config).eval()
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[:, :3] = torch.eye(3)
    x = torch.zeros(1, 4, 8)
    x[0, :2, :3] = torch.tensor([2.0, 1.0, 0.0])  # first choice 0, second 1
    x[0, 2:, :3] = torch.tensor([0.0, 2.0, 1.0])  # first choice 1, second 2
    layer(x, all_valid(x))
    pairs = set(zip(layer.routing.token_A.tolist(), layer.routing.expert_A.tolist(), strict=True))
    assert pairs == {(0, 0), (1, 0), (2, 1), (3, 1), (2, 2), (3, 2)}
