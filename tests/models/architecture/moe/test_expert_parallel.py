"""Experts sharded over gloo ranks against the reference in float64."""

import pytest
import torch

from models.architecture.moe.expert_parallel import shard_experts
from models.architecture.t5 import T5
from models.errors import ConfigError
from tests.models.architecture.moe.factories import moe_model_config
from tests.ranks import run_on_ranks


@pytest.mark.multiprocess
def test_sharded_experts_on_2_and_4_ranks_equal_the_reference():
    output = run_on_ranks("tests.models.architecture.moe.expert_parallel_worker", (2, 4))
    assert sorted(output.split()) == ["equal_on_2"] * 2 + ["equal_on_4"] * 4


def test_shard_experts_with_an_uneven_mesh_leaves_the_model_unchanged():
    class Mesh:
        def size(self):
            return 3

    model = T5(moe_model_config("switch", 8))
    with pytest.raises(ConfigError, match="8 experts cannot be sharded evenly over 3 ranks"):
        shard_experts(model, Mesh())
    layer = next(iter(model.moe_layers().values()))
    assert type(layer.experts.wi_EDF) is torch.nn.Parameter
