"""Data and expert parallelism: distribute a model over ranks and reduce its gradients.

Rows are split over all ranks. Four kinds of data parallelism shard further tensors (ZeRO,
Rajbhandari et al., arXiv 1910.02054), each with or without expert parallelism:

    ddp      torch DDP                          nothing is sharded
    oss      torch DDP, fairscale OSS           optimizer state (stage 1)
    sharded  fairscale ShardedDataParallel      and gradients (stage 2)
    fsdp     torch FSDP2                        and weights (stage 3)

The device mesh is [replicas, experts]: the ranks of a row hold different experts and exchange
tokens (all-to-all, see `expert_parallel`), the ranks of a column hold the same experts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard
from torch.nn.parallel import DistributedDataParallel

from models.architecture.moe.dispatch.table import set_dispatcher
from models.architecture.moe.expert_parallel import shard_experts
from models.architecture.moe.experts import local_shard
from models.architecture.t5 import T5
from models.errors import ConfigError
from models.training.distributed import DistributedContext
from models.training.optim import build_optimizer
from models.training.params import DataParallel, TrainingParams


@dataclass(frozen=True)
class ParallelModel:
    """A model distributed over ranks, with its optimizers and gradient reductions."""

    model: T5
    forward: nn.Module
    """Module to call: the model or its data-parallel wrapper."""
    optimizers: list[torch.optim.Optimizer]
    dist: DistributedContext
    data_parallel: DataParallel
    replicas: torch.distributed.ProcessGroup | None
    """Ranks that hold the same experts as this one; None if no other does."""
    expert_weights: list[nn.Parameter]
    """Local expert weights under expert parallelism; empty without it."""

    def maybe_no_sync(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Return a context that postpones the gradient exchange to the last microbatch."""
        if is_last or self.dist.world_size == 1:
            return nullcontext()
        if isinstance(self.model, FSDPModule):
            return _without_fsdp_sync(self.model)
        no_sync: AbstractContextManager[None] = self.forward.no_sync()  # type: ignore[operator]
        return no_sync

    def reduce_expert_gradients(self) -> None:
        """Average expert gradients over all ranks.

        After the backward pass they are sums over the tokens of this rank's mesh row only.
        """
        if self.data_parallel == "fsdp" and self.replicas is not None:
            return  # FSDP has reduced them and divided by the world size
        for weight in self.expert_weights:
            if weight.grad is not None:
                gradient = local_shard(weight.grad)
                if self.replicas is not None:
                    torch.distributed.all_reduce(gradient, group=self.replicas)
                gradient /= self.dist.world_size

    def squared_grad_norm(self) -> Tensor:
        """Return this rank's share of the squared global gradient norm; the shares add up to it."""
        total = torch.zeros((), device=self.dist.device)
        for gradients, count in zip(self._gradients(), self._replica_counts(), strict=True):
            if gradients:
                norm: Tensor = torch.nn.utils.get_total_norm(gradients)
                total = total + norm.square() / count
        return total

    def scale_gradients(self, factor: float) -> None:
        for gradients in self._gradients():
            if gradients:
                torch._foreach_mul_(gradients, factor)

    def zero_grad(self) -> None:
        for weight in self.model.parameters():
            weight.grad = None

    def _gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the local gradients: of shared weights, and of expert-parallel weights."""
        expert_ids = set(map(id, self.expert_weights))
        gradients: tuple[list[Tensor], list[Tensor]] = ([], [])
        for weight in self.model.parameters():
            if weight.grad is not None:
                gradients[id(weight) in expert_ids].append(local_shard(weight.grad))
        return gradients

    def _replica_counts(self) -> tuple[int, int]:
        """Return how many ranks hold the same gradient: of a shared weight, and of an expert."""
        if self.data_parallel == "fsdp":
            return 1, 1
        num_replicas = self.replicas.size() if self.replicas is not None else 1
        # ShardedDataParallel leaves each gradient on a single rank.
        shared = 1 if self.data_parallel == "sharded" else self.dist.world_size
        return shared, num_replicas


def parallelize(model: T5, params: TrainingParams, dist: DistributedContext) -> ParallelModel:
    """Distribute a model over the ranks and build its optimizers.

    Args:
        model: model to distribute in place, on the device of this rank.
        params: kind of data parallelism, expert-parallel size, dispatch backend and optimizer.
        dist: ranks that train together.

    Returns:
        The distributed model.

    Raises:
        ConfigError: the expert-parallel size divides neither the world size nor the experts, or
            the dispatch backend does not support the router.
    """
    size = params.parallel.expert_parallel_size
    if dist.world_size % size:
        raise ConfigError(
            f"models.training.parallel.expert_parallel_size: {size} does not divide the world size "
            f"{dist.world_size}"
        )
    data_parallel = params.parallel.data_parallel if dist.world_size > 1 else "ddp"
    mesh = None
    if dist.world_size > 1:
        shape = (dist.world_size // size, size)
        mesh = init_device_mesh(dist.device.type, shape, mesh_dim_names=("replicas", "experts"))
    expert_weights: list[nn.Parameter] = []
    if size > 1 and mesh is not None and model.config.moe is not None:
        shard_experts(model, mesh["experts"], params.dispatch)
        expert_weights = _expert_weights(model)
    else:
        set_dispatcher(model, params.dispatch)
    replicas = mesh["replicas"].get_group() if mesh and mesh["replicas"].size() > 1 else None
    if data_parallel == "fsdp" and mesh is not None:
        _apply_fsdp(model, mesh, expert_weights)
        expert_weights = _expert_weights(model) if expert_weights else []
    optimizers = _build_optimizers(model, expert_weights, params, data_parallel)
    return ParallelModel(
        model=model,
        forward=_wrap(model, data_parallel, optimizers, expert_weights, dist),
        optimizers=optimizers,
        dist=dist,
        data_parallel=data_parallel,
        replicas=replicas,
        expert_weights=expert_weights,
    )


def _build_optimizers(
    model: T5,
    expert_weights: list[nn.Parameter],
    params: TrainingParams,
    data_parallel: DataParallel,
) -> list[torch.optim.Optimizer]:
    """Build an optimizer of the shared weights and one of the expert-parallel weights.

    OSS does not apply to expert-parallel weights, whose state is already sharded with the experts.
    """
    expert_ids = set(map(id, expert_weights))
    shared = [w for w in model.parameters() if w.requires_grad and id(w) not in expert_ids]
    experts = [w for w in expert_weights if w.requires_grad]
    optimizers = []
    if shared:
        shard_state = data_parallel in ("oss", "sharded")
        optimizers.append(build_optimizer(shared, params.optim, shard_state=shard_state))
    if experts:
        optimizers.append(build_optimizer(experts, params.optim, shard_state=False))
    return optimizers


def _wrap(
    model: T5,
    data_parallel: DataParallel,
    optimizers: list[torch.optim.Optimizer],
    expert_weights: list[nn.Parameter],
    dist: DistributedContext,
) -> nn.Module:
    has_shared = any(w.requires_grad for w in model.parameters() if not isinstance(w, DTensor))
    if dist.world_size == 1 or data_parallel == "fsdp" or not has_shared:
        return model
    if data_parallel == "sharded":
        from fairscale.nn.data_parallel import ShardedDataParallel

        # ShardedDataParallel's default reduce buffer computes wrong gradients. The weights are
        # equal on all ranks already.
        wrapper: nn.Module = ShardedDataParallel(
            model, optimizers[0], reduce_buffer_size=0, sync_models_at_startup=False
        )
        return wrapper
    expert_ids = set(map(id, expert_weights))
    ignored = [name for name, weight in model.named_parameters() if id(weight) in expert_ids]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ignored)
    device_ids = [dist.device.index] if dist.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=device_ids, gradient_as_bucket_view=True)


def _apply_fsdp(model: T5, mesh: DeviceMesh, expert_weights: list[nn.Parameter]) -> None:
    """Shard each block with FSDP2; expert-parallel weights over their replicas only."""
    # FSDP2 warns about in-place changes of views of its outputs; the model makes none.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")
    all_ranks = mesh._flatten("everyone")
    ignored: set[nn.Parameter] = set()
    if expert_weights and mesh["replicas"].size() > 1:
        for layer in model.moe_layers().values():
            # Along d_model, because expert parallelism shards dimension E already.
            fully_shard(layer.experts, mesh=mesh["replicas"], shard_placement_fn=lambda _: Shard(1))
            sharded: Any = layer.experts
            # An expert's gradient sums over the tokens of all ranks, while FSDP would divide by
            # the number of replicas only.
            sharded.set_gradient_divide_factor(float(mesh.size()))
            if mesh.device_type == "cpu":
                sharded.set_force_sum_reduction_for_comms(True)  # gloo has no average or PREMUL_SUM
    else:
        ignored = set(expert_weights)
    for stack in (model.encoder, model.decoder):
        for block in stack.layers():
            fully_shard(block, mesh=all_ranks, ignored_params=ignored)
    fully_shard(model, mesh=all_ranks, ignored_params=ignored)


def _expert_weights(model: T5) -> list[nn.Parameter]:
    return [w for layer in model.moe_layers().values() for w in layer.experts.parameters()]


@contextmanager
def _without_fsdp_sync(model: FSDPModule) -> Iterator[None]:
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)
