"""Expert parallelism: each of W ranks holds E / W experts of every MoE layer.

As in GShard (arXiv 2006.16668, section 3.2): tokens and experts are sharded over the ranks, and
rows are exchanged by all-to-all. Names and shapes in the state dict do not change.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from models.architecture.moe.dispatch.checks import check_expert_parallel
from models.architecture.moe.dispatch.table import set_dispatcher
from models.architecture.t5 import T5
from models.choices import DispatchBackend


def shard_experts(model: T5, mesh: DeviceMesh, dispatch: DispatchBackend = "native") -> None:
    """Shard the expert weights along E as DTensors, so that a checkpoint fits any world size.

    Args:
        model: model with the same full weights on every rank.
        mesh: one-dimensional mesh of the ranks that share the experts.
        dispatch: dispatch backend.

    Raises:
        ConfigError: num_experts is not a multiple of the mesh's size, or the backend is not
            available or does not support the router.
    """
    check_expert_parallel(mesh.size(), model.config)
    for layer in model.moe_layers().values():
        for name, weight in list(layer.experts.named_parameters(recurse=False)):
            shard = distribute_tensor(weight.detach(), mesh, [Shard(0)])
            setattr(layer.experts, name, nn.Parameter(shard, requires_grad=weight.requires_grad))
    set_dispatcher(model, dispatch, mesh.get_group())


def full_state_dict(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gather the shards of a state dict; a collective call of all ranks.

    Args:
        state: state dict with DTensors or plain tensors.

    Returns:
        State dict with full plain tensors, as a single process would hold.
    """
    return {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in state.items()
    }
