"""MoE layers of other libraries with the same sizes, for comparison.

Shape suffixes: T tokens, D d_model.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.architecture.moe.dispatch.fairscale import single_rank_group

D_MODEL, D_FF = 512, 2048
Peer = tuple[nn.Module, Callable[[Tensor], Any]]
"""A module, and the function that calls it on `[1, T, D]`."""


def build_peers(
    activation: str, num_experts: int, top_k: int, *, include_slow: bool
) -> dict[str, Peer]:
    """Build the layers that support these settings, by name.

    Args:
        activation: relu or gated_gelu.
        num_experts: experts of the layer.
        top_k: experts per token.
        include_slow: include layers that take several times the dense layer's time.
    """
    peers: dict[str, Peer] = {}
    if activation == "relu" and top_k == 1:
        peers["hf_switch"] = _switch(num_experts)
    if activation == "gated_gelu":
        peers["hf_mixtral"] = _mixtral(num_experts, top_k)
    if activation == "relu" and top_k == 2 and include_slow:
        peers["fairscale"] = _fairscale(num_experts)
    if importlib.util.find_spec("tutel") is not None:
        peers["tutel"] = _tutel(activation, num_experts, top_k)
    return peers


def _switch(num_experts: int) -> Peer:
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers.modeling_switch_transformers import (
        SwitchTransformersSparseMLP,
    )

    module = SwitchTransformersSparseMLP(
        SwitchTransformersConfig(
            d_model=D_MODEL,
            d_ff=D_FF,
            num_experts=num_experts,
            expert_capacity=1 << 20,
            dropout_rate=0.0,
            router_jitter_noise=0.0,
        )
    )
    return module, lambda x: module(x)


def _mixtral(num_experts: int, top_k: int) -> Peer:
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = MixtralConfig(
        hidden_size=D_MODEL,
        intermediate_size=D_FF,
        num_local_experts=num_experts,
        num_experts_per_tok=top_k,
        hidden_act="gelu_pytorch_tanh",
        router_jitter_noise=0.0,
    )
    config._experts_implementation = "grouped_mm"  # the default has a very slow backward pass
    module = MixtralSparseMoeBlock(config)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.02)

    def call(x: Tensor) -> Any:
        output = module(x)
        return output[0] if isinstance(output, tuple) else output

    return module, call


def _fairscale(num_experts: int) -> Peer:
    from fairscale.nn.moe import MOELayer, Top2Gate

    experts = nn.ModuleList(
        nn.Sequential(
            nn.Linear(D_MODEL, D_FF, bias=False), nn.ReLU(), nn.Linear(D_FF, D_MODEL, bias=False)
        )
        for _ in range(num_experts)
    )
    module = MOELayer(Top2Gate(D_MODEL, num_experts), experts, group=single_rank_group())
    return module, lambda x: module(x.view(num_experts, -1, D_MODEL)).view_as(x)


def _tutel(activation: str, num_experts: int, top_k: int) -> Peer:
    from tutel import moe

    function: Callable[[Tensor], Tensor] = (
        torch.relu if activation == "relu" else nn.functional.gelu
    )
    module = moe.moe_layer(
        gate_type={"type": "top", "k": top_k, "capacity_factor": 0.0},
        model_dim=D_MODEL,
        experts={
            "type": "ffn",
            "num_experts_per_device": num_experts,
            # Tutel's feed-forward has two matrices: 1.5 times the width costs as much as three.
            "hidden_size_per_expert": D_FF if activation == "relu" else D_FF * 3 // 2,
            "activation_fn": function,
        },
    )
    return module, lambda x: module(x)
