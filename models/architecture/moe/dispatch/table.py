"""Dispatch backends by name, and the function that sets a model's backend."""

from __future__ import annotations

from torch import distributed as dist

from models.architecture.moe.dispatch.checks import check_dispatch
from models.architecture.moe.dispatch.fairscale import FairscaleDispatch
from models.architecture.moe.dispatch.native import NativeDispatch
from models.architecture.moe.dispatch.protocol import Dispatcher
from models.architecture.moe.dispatch.tutel import TutelDispatch
from models.architecture.t5 import T5
from models.choices import DispatchBackend

DispatcherClass = type[NativeDispatch] | type[TutelDispatch] | type[FairscaleDispatch]
DISPATCHERS: dict[DispatchBackend, DispatcherClass] = {
    "native": NativeDispatch,
    "tutel": TutelDispatch,
    "fairscale": FairscaleDispatch,
}


def set_dispatcher(
    model: T5, name: DispatchBackend, group: dist.ProcessGroup | None = None
) -> None:
    """Set the dispatch backend of every MoE layer; weights are unchanged.

    Args:
        model: dense or MoE model; a dense one is left as it is.
        name: dispatch backend.
        group: ranks that share the experts (`expert_parallel.shard_experts`); None: not sharded.

    Raises:
        ConfigError: the backend is not available or does not support the router.
    """
    check_dispatch(name, model.config)
    layers = model.moe_layers().values()
    if layers:
        dispatcher: Dispatcher = DISPATCHERS[name](group)
        for layer in layers:
            layer.dispatch = dispatcher
