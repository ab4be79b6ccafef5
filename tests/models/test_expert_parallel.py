"""Experts spread over gloo processes against a loop over tokens, in float64, on each process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.architecture.moe.dispatch.checks import check_dispatch, check_expert_parallel
from models.architecture.moe.expert_parallel import shard_experts
from models.architecture.t5 import T5
from models.errors import ConfigError
from tests.models.moe_reference import config

SCRIPT = """
import importlib.util, itertools
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from models.architecture.moe.expert_parallel import shard_experts, whole
from models.architecture.t5 import T5
from tests.models.moe_reference import ROUTERS, brute_force, config, in_float64

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
mesh = init_device_mesh("cpu", (world,))
backends = ["native", "fairscale"] + (["tutel"] if importlib.util.find_spec("tutel") else [])
for router, factor, backend, kind in itertools.product(
    ROUTERS, (None, 0.5), backends, ("relu", "gated_gelu")
):
    if router == "expert_choice" and backend == "tutel":
        continue
    made_of = config(router, 8, factor, kind, decoder_router="st_moe", decoder_top_k=2)
    model = T5(made_of).reset_parameters(1).eval()
    layer = model.encoder.blocks[1].feed_forward
    torch.nn.init.normal_(layer.router.weight, std=1.0, generator=torch.Generator().manual_seed(5))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    exact = in_float64(layer, made_of)
    shard_experts(model, mesh, backend)
    state = whole(model.state_dict())
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert layer.experts.wi_EDF.to_local().shape[0] == 8 // world
    # Uneven: each process another number of tokens, the last none that is valid.
    torch.manual_seed(10 + rank)
    x = torch.randn(2, 3 + 2 * rank, 8, requires_grad=True)
    valid = torch.rand(x.shape[:2]) > (0.2 if rank < world - 1 else 2.0)
    y = layer(x, valid)
    weight = torch.randn_like(x)
    (y * weight).sum().backward()
    x64 = x.detach().double().requires_grad_()
    y64 = brute_force(exact, x64, valid)
    torch.testing.assert_close(y.double(), y64, atol=2e-5, rtol=1e-3)
    if y64.requires_grad:
        (y64 * weight).sum().backward()
    expected_x = torch.zeros_like(x64) if x64.grad is None else x64.grad
    torch.testing.assert_close(x.grad.double(), expected_x, atol=2e-5, rtol=1e-3)
    # An expert's gradient holds the tokens of all processes; the router's those of its own.
    for name, parameter in layer.named_parameters():
        reference = dict(exact.named_parameters())[name]
        expected = torch.zeros_like(reference) if reference.grad is None else reference.grad
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if name.startswith("experts"):
            dist.all_reduce(expected)
            found = found.full_tensor()
        torch.testing.assert_close(found.double(), expected, atol=5e-5, rtol=1e-3)
dist.destroy_process_group()
print("same")
"""


@pytest.mark.parametrize("processes", [2, 4])
def test_outputs_and_gradients_equal_the_loop_over_tokens(tmp_path, processes):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), str(script),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, env=environment, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("same") == processes


def test_experts_that_cannot_be_shared_evenly_are_refused_before_anything_changes():
    class Mesh:
        def size(self):
            return 3

    model = T5(config("switch", 8))
    with pytest.raises(ConfigError, match="8 experts cannot be spread evenly over 3 processes"):
        shard_experts(model, Mesh())
    with pytest.raises(ConfigError, match="8 experts"):
        check_expert_parallel(3, config("switch", 8))
    assert type(next(iter(model.moe_layers().values())).experts.wi_EDF) is torch.nn.Parameter


def test_a_backend_that_cannot_serve_says_so():
    ec = config("expert_choice", 4, 1.0, decoder_router="st_moe")
    with pytest.raises(ConfigError, match="did you mean 'native'"):
        check_dispatch("nativ", ec)
    with pytest.raises(ConfigError, match="float32 only, and precision is bfloat16"):
        check_dispatch("fairscale", ec, precision="bfloat16")
    check_dispatch("fairscale", ec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.architecture.moe.dispatch.checks.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match="not installed: follow https"):
            check_dispatch("tutel", ec)
        patch.setattr("models.architecture.moe.dispatch.checks.find_spec", lambda _: object())
        with pytest.raises(ConfigError, match="expert_choice does not: use native or fairscale"):
            check_dispatch("tutel", ec)
