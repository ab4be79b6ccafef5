"""MoE layers of others, of the same sizes: name -> (module, call on `[1, T, D]`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.architecture.moe.dispatch.fairscale import group_of_one

D_MODEL, D_FF = 512, 2048
Peer = tuple[nn.Module, Callable[[Tensor], Any]]


def peers(kind: str, experts: int, k: int, *, slow: bool) -> dict[str, Peer]:
    """Those that can do it. `slow`: also those that take several times the dense layer's time."""
    found: dict[str, Peer] = {}
    if kind == "relu" and k == 1:
        found["hf_switch"] = _switch(experts)
    if kind == "gated_gelu":
        found["hf_mixtral"] = _mixtral(experts, k)
    if kind == "relu" and k == 2 and slow:
        found["fairscale"] = _fairscale(experts)
    if importlib.util.find_spec("tutel") is not None:
        found["tutel"] = _tutel(kind, experts, k)
    return found


def _switch(experts: int) -> Peer:
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers.modeling_switch_transformers import (
        SwitchTransformersSparseMLP,
    )

    module = SwitchTransformersSparseMLP(
        SwitchTransformersConfig(
            d_model=D_MODEL,
            d_ff=D_FF,
            num_experts=experts,
            expert_capacity=1 << 20,
            dropout_rate=0.0,
            router_jitter_noise=0.0,
        )
    )
    return module, lambda x: module(x)


def _mixtral(experts: int, k: int) -> Peer:
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = MixtralConfig(
        hidden_size=D_MODEL,
        intermediate_size=D_FF,
        num_local_experts=experts,
        num_experts_per_tok=k,
        hidden_act="gelu_pytorch_tanh",
        router_jitter_noise=0.0,
    )
    config._experts_implementation = "grouped_mm"  # its eager backward is 73 times dense
    module = MixtralSparseMoeBlock(config)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.02)

    def call(x: Tensor) -> Any:
        out = module(x)
        return out[0] if isinstance(out, tuple) else out

    return module, call


def _fairscale(experts: int) -> Peer:
    from fairscale.nn.moe import MOELayer, Top2Gate

    made = nn.ModuleList(
        nn.Sequential(
            nn.Linear(D_MODEL, D_FF, bias=False), nn.ReLU(), nn.Linear(D_FF, D_MODEL, bias=False)
        )
        for _ in range(experts)
    )
    module = MOELayer(Top2Gate(D_MODEL, experts), made, group=group_of_one())
    return module, lambda x: module(x.view(experts, -1, D_MODEL)).view_as(x)


def _tutel(kind: str, experts: int, k: int) -> Peer:
    from tutel import moe

    act: Callable[[Tensor], Tensor] = torch.relu if kind == "relu" else nn.functional.gelu
    module = moe.moe_layer(
        gate_type={"type": "top", "k": k, "capacity_factor": 0.0},
        model_dim=D_MODEL,
        experts={
            "type": "ffn",
            "num_experts_per_device": experts,
            # Its own feed-forward has two matrices: half as wide again costs what three do.
            "hidden_size_per_expert": D_FF if kind == "relu" else D_FF * 3 // 2,
            "activation_fn": act,
        },
    )
    return module, lambda x: module(x)
