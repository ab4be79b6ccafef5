"""The dispatch backends by name, and how a model is given one."""

from __future__ import annotations

from torch import distributed as dist

from models.architecture.moe.dispatch.checks import check_dispatch
from models.architecture.moe.dispatch.fairscale import FairscaleDispatch
from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.dispatch.protocol import Dispatch
from models.architecture.moe.dispatch.tutel import TutelDispatch
from models.architecture.t5 import T5

Backend = type[NativeDispatch] | type[TutelDispatch] | type[FairscaleDispatch]
BACKENDS: dict[str, Backend] = {
    "native": NativeDispatch,
    "tutel": TutelDispatch,
    "fairscale": FairscaleDispatch,
}


def use(model: T5, name: str, group: dist.ProcessGroup | None = None) -> None:
    """All MoE layers of `model` dispatch through `name`; the weights stay what they are.

    `group`: the processes that the experts are spread over (`expert_parallel.shard_experts`).
    Raises ConfigError for a backend that is not there or cannot serve the router.
    """
    check_dispatch(name, model.config)
    layers = model.moe_layers().values()
    if layers:
        backend: Dispatch = BACKENDS[name](group)
        for layer in layers:
            layer.dispatch = backend
