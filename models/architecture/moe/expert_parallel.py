"""Experts spread over processes: each keeps E / W of them, and the state dict stays the same.

Expert parallelism as in GShard (arXiv 2006.16668, section 3.2): tokens are split over processes
(data parallel), experts too, and rows travel between them (all-to-all).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from models.architecture.moe.dispatch.checks import check_expert_parallel
from models.architecture.moe.dispatch.table import use
from models.architecture.t5 import T5


def shard_experts(model: T5, mesh: DeviceMesh, dispatch: str = "native") -> None:
    """Keeps this process's experts only; `mesh`: one dimension, the processes that share them.

    Expert weights become DTensors sharded along E, so names and shapes in the state dict do not
    change, and distributed checkpoints fit any number of processes. Raises ConfigError where E is
    no multiple of the processes, before anything changes.
    """
    check_expert_parallel(mesh.size(), model.config)
    for layer in model.moe_layers().values():
        for name, weight in list(layer.experts.named_parameters(recurse=False)):
            shard = distribute_tensor(weight.detach(), mesh, [Shard(0)])
            setattr(layer.experts, name, nn.Parameter(shard, requires_grad=weight.requires_grad))
    use(model, dispatch, mesh.get_group())


def whole(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without shards: what one process alone would hold. All processes call it."""
    return {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in state.items()
    }
