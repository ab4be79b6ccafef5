"""How a model is spread over processes, and what its gradients need before a step.

Rows are split over all processes. Four ways to share the rest of the work (ZeRO, Rajbhandari et
al., arXiv 1910.02054), each with or without experts spread over processes as well:

    ddp      torch DDP                          nothing is sharded
    oss      torch DDP, fairscale OSS           optimizer state (stage 1)
    sharded  fairscale ShardedDataParallel      gradients too (stage 2)
    fsdp     torch FSDP2                        weights too (stage 3)

Processes form a mesh [replicas, experts]: those of a row hold different experts and exchange rows
(`expert_parallel`), those of a column hold the same ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard
from torch.nn.parallel import DistributedDataParallel

from models.architecture.moe.dispatch.table import use
from models.architecture.moe.expert_parallel import shard_experts
from models.architecture.moe.experts import local
from models.architecture.t5 import T5
from models.errors import ConfigError
from models.training import optim
from models.training.distributed import Group
from models.training.params import TrainingParams


@dataclass(frozen=True)
class Spread:
    """A model ready to be trained by the processes of a group."""

    model: T5
    forward: nn.Module
    """What is called: the model, or what wraps it."""
    optimizers: list[torch.optim.Optimizer]
    group: Group
    kind: str
    replicas: dist.ProcessGroup | None
    """Processes that hold the same experts, where not all do and not one alone."""
    experts: list[nn.Parameter]
    """Weights of this process's experts, where they are spread."""

    def accumulating(self, *, last: bool) -> AbstractContextManager[None]:
        """Around a forward and backward pass: gradients are exchanged in the `last` part only."""
        if last or self.group.world == 1:
            return nullcontext()
        if isinstance(self.model, FSDPModule):
            return _unsynchronised(self.model)
        held: AbstractContextManager[None] = self.forward.no_sync()  # type: ignore[operator]
        return held

    def complete_gradients(self) -> None:
        """Experts' gradients hold what this row of the mesh sent them: make them means over all."""
        if self.kind == "fsdp" and self.replicas is not None:
            return  # FSDP has reduced them and divided by the number of processes
        for weight in self.experts:
            if weight.grad is not None:
                gradient = local(weight.grad)
                if self.replicas is not None:
                    dist.all_reduce(gradient, group=self.replicas)
                gradient /= self.group.world

    def squared_norm(self) -> Tensor:
        """This process's part of the whole gradient's squared norm: the parts add up to it."""
        total = torch.zeros((), device=self.group.device)
        for gradients, holders in zip(self._gradients(), self._holders(), strict=True):
            if gradients:
                norm: Tensor = torch.nn.utils.get_total_norm(gradients)
                total = total + norm.square() / holders
        return total

    def scale_gradients(self, factor: float) -> None:
        for gradients in self._gradients():
            if gradients:
                torch._foreach_mul_(gradients, factor)

    def _gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """What this process holds: of shared weights, and of spread experts."""
        spread = set(map(id, self.experts))
        own: tuple[list[Tensor], list[Tensor]] = ([], [])
        for weight in self.model.parameters():
            if weight.grad is not None:
                own[id(weight) in spread].append(local(weight.grad))
        return own

    def _holders(self) -> tuple[int, int]:
        """Processes that hold the same gradient, of a shared weight and of a spread expert."""
        if self.kind == "fsdp":
            return 1, 1
        replicas = self.replicas.size() if self.replicas is not None else 1
        # ShardedDataParallel leaves each gradient on one process.
        return 1 if self.kind == "sharded" else self.group.world, replicas


def spread(model: T5, params: TrainingParams, group: Group) -> Spread:
    """Spreads `model`, in place. Raises ConfigError for sizes that do not divide."""
    size = params.parallel.expert_parallel_size
    if group.world % size:
        raise ConfigError(
            f"models.training.parallel.expert_parallel_size is {size}, which does not divide the "
            f"{group.world} process(es) of this run"
        )
    kind = params.parallel.data_parallel if group.world > 1 else "ddp"
    mesh = None
    if group.world > 1:
        shape = (group.world // size, size)
        mesh = init_device_mesh(group.device.type, shape, mesh_dim_names=("replicas", "experts"))
    experts: list[nn.Parameter] = []
    if size > 1 and mesh is not None and model.config.moe is not None:
        shard_experts(model, mesh["experts"], params.dispatch)
        experts = _experts_of(model)
    else:
        use(model, params.dispatch)
    replicas = mesh["replicas"].get_group() if mesh and mesh["replicas"].size() > 1 else None
    if kind == "fsdp" and mesh is not None:
        _shard_fully(model, mesh, experts)
        experts = _experts_of(model) if experts else []
    apart = set(map(id, experts))
    shared = [w for w in model.parameters() if w.requires_grad and id(w) not in apart]
    own = [w for w in experts if w.requires_grad]
    built = [
        optim.build(shared, params.optim, sharded=kind in ("oss", "sharded")) if shared else None,
        # Spread experts have their optimizer state spread with them.
        optim.build(own, params.optim, sharded=False) if own else None,
    ]
    optimizers = [optimizer for optimizer in built if optimizer is not None]
    return Spread(
        model=model,
        forward=_wrap(model, kind, optimizers, experts, group),
        optimizers=optimizers,
        group=group,
        kind=kind,
        replicas=replicas,
        experts=experts,
    )


def _wrap(
    model: T5,
    kind: str,
    optimizers: list[torch.optim.Optimizer],
    experts: list[nn.Parameter],
    group: Group,
) -> nn.Module:
    shared = any(w.requires_grad for w in model.parameters() if not isinstance(w, DTensor))
    if group.world == 1 or kind == "fsdp" or not shared:
        return model
    if kind == "sharded":
        from fairscale.nn.data_parallel import ShardedDataParallel

        # With its default buffer its gradients are wrong: parameters were off by 3e-2. Weights are
        # the same on all processes already.
        wrapped: nn.Module = ShardedDataParallel(
            model, optimizers[0], reduce_buffer_size=0, sync_models_at_startup=False
        )
        return wrapped
    apart = set(map(id, experts))
    ignored = [name for name, weight in model.named_parameters() if id(weight) in apart]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ignored)
    device_ids = [group.device.index] if group.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=device_ids, gradient_as_bucket_view=True)


def _shard_fully(model: T5, mesh: DeviceMesh, experts: list[nn.Parameter]) -> None:
    """FSDP2, a block at a time; spread experts further over those that hold the same ones."""
    # It says so of any view; what it warns of, changing the output in place, is not done here.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")
    everyone = mesh._flatten("everyone")
    ignored: set[nn.Parameter] = set()
    if experts and mesh["replicas"].size() > 1:
        for layer in model.moe_layers().values():
            # Along d_model: along E they are spread over processes already.
            fully_shard(layer.experts, mesh=mesh["replicas"], shard_placement_fn=lambda _: Shard(1))
            sharded: Any = layer.experts
            # They have the rows of all processes, of which FSDP knows those that hold the same.
            sharded.set_gradient_divide_factor(float(mesh.size()))
            if mesh.device_type == "cpu":
                sharded.set_force_sum_reduction_for_comms(True)  # gloo has no other
    else:
        ignored = set(experts)
    for stack in (model.encoder, model.decoder):
        for block in stack.layers():
            fully_shard(block, mesh=everyone, ignored_params=ignored)
    fully_shard(model, mesh=everyone, ignored_params=ignored)


def _experts_of(model: T5) -> list[nn.Parameter]:
    return [w for layer in model.moe_layers().values() for w in layer.experts.parameters()]


@contextmanager
def _unsynchronised(model: FSDPModule) -> Iterator[None]:
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)
