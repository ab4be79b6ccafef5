"""Compare sharded experts with the reference; runs on every rank."""

import itertools
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from models.architecture.moe.expert_parallel import full_state_dict, shard_experts
from models.architecture.t5 import T5
from tests.models.architecture.moe.factories import (
    INSTALLED_BACKENDS,
    TOP_K_BY_ROUTER,
    moe_model_config,
)
from tests.models.architecture.moe.reference import reference_output, to_float64


def check_case(mesh, router, capacity_factor, backend, activation):
    rank, world_size = dist.get_rank(), dist.get_world_size()
    config = moe_model_config(
        router, 8, capacity_factor, activation, decoder_router="st_moe", decoder_top_k=2
    )
    model = T5(config).reset_parameters(1).eval()
    layer = model.encoder.blocks[1].feed_forward
    torch.nn.init.normal_(layer.router.weight, std=1.0, generator=torch.Generator().manual_seed(5))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    exact_layer = to_float64(layer, config)
    shard_experts(model, mesh, backend)
    state = full_state_dict(model.state_dict())
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert layer.experts.wi_EDF.to_local().shape[0] == 8 // world_size
    # Uneven: each rank has another number of tokens, the last rank no valid one.
    torch.manual_seed(10 + rank)
    x = torch.randn(2, 3 + 2 * rank, 8, requires_grad=True)
    valid = torch.rand(x.shape[:2]) > (0.2 if rank < world_size - 1 else 2.0)
    y = layer(x, valid)
    projection = torch.randn_like(x)
    (y * projection).sum().backward()
    x64 = x.detach().double().requires_grad_()
    y64 = reference_output(exact_layer, x64, valid)
    torch.testing.assert_close(y.double(), y64, atol=2e-5, rtol=1e-3)
    if y64.requires_grad:
        (y64 * projection).sum().backward()
    expected_x = torch.zeros_like(x64) if x64.grad is None else x64.grad
    torch.testing.assert_close(x.grad.double(), expected_x, atol=2e-5, rtol=1e-3)
    # Gradients of experts include the tokens of all ranks; those of the router only local tokens.
    exact_parameters = dict(exact_layer.named_parameters())
    for name, parameter in layer.named_parameters():
        exact = exact_parameters[name]
        expected = torch.zeros_like(exact) if exact.grad is None else exact.grad
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if name.startswith("experts"):
            dist.all_reduce(expected)
            gradient = gradient.full_tensor()
        torch.testing.assert_close(gradient.double(), expected, atol=5e-5, rtol=1e-3)


def main():
    """Check every router, backend and activation, and print the world size."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    cases = itertools.product(
        TOP_K_BY_ROUTER, (None, 0.5), INSTALLED_BACKENDS, ("relu", "gated_gelu")
    )
    for router, capacity_factor, backend, activation in cases:
        if (router, backend) != ("expert_choice", "tutel"):
            check_case(mesh, router, capacity_factor, backend, activation)
    world_size = dist.get_world_size()
    dist.destroy_process_group()
    # One write a line, as the ranks share the output.
    sys.stdout.write(f"equal_on_{world_size}\n")
    sys.stdout.flush()
