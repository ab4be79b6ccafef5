"""Experts sharded over gloo ranks against the reference in float64."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.architecture.moe.expert_parallel import shard_experts
from models.architecture.t5 import T5
from models.errors import ConfigError
from tests.models.architecture.moe.factories import moe_model_config


@pytest.mark.multiprocess
@pytest.mark.parametrize("world_size", [2, 4])
def test_sharded_experts_equal_the_reference(world_size):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(world_size),
        "-m", "tests.models.architecture.moe.expert_parallel_worker",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    completed = subprocess.run(
        command, env=environment, timeout=300, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr[-3000:]
    assert completed.stdout.count("equal") == world_size


def test_shard_experts_with_an_uneven_mesh_leaves_the_model_unchanged():
    class Mesh:
        def size(self):
            return 3

    model = T5(moe_model_config("switch", 8))
    with pytest.raises(ConfigError, match="8 experts cannot be sharded evenly over 3 ranks"):
        shard_experts(model, Mesh())
    layer = next(iter(model.moe_layers().values()))
    assert type(layer.experts.wi_EDF) is torch.nn.Parameter
