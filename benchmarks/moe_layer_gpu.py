"""The GPU part of benchmarks.moe_layer: bfloat16 autocast, gated GELU, top-2, forward and backward.

Native and Tutel dispatch of the same layer, relative to a dense layer of the same active FLOPs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.timing import relative_to_dense, time_interleaved
from models.architecture.moe.dispatch.table import DISPATCHERS
from models.architecture.moe.layer import MoELayer
from models.choices import Activation, DispatchBackend
from models.config import ModelConfig

LayerBuilder = Callable[[ModelConfig], MoELayer]
TOP_K = 2
GOALS = {(8, 65_536): 1.15}
"""Upper bounds of the relative time, by (num_experts, num_tokens)."""


def measure_on_gpu(
    layer_config: Callable[[Activation, int, int], ModelConfig],
    build_layer: LayerBuilder,
    turns: int,
) -> Iterator[dict[str, Any]]:
    """Yield a row of figures for each size that fits the memory of the GPU.

    Args:
        layer_config: configuration for an activation, a number of experts and top_k.
        build_layer: builds a layer with random weights.
        turns: measurements of each case.
    """
    sizes = itertools.product((1024, 4096), (8, 32, 128), (16_384, 65_536))
    for d_model, num_experts, num_tokens in sizes:
        config = dataclasses.replace(
            layer_config("gated_gelu", num_experts, TOP_K), d_model=d_model, d_ff=4 * d_model
        )
        # float32 weights and gradients, and bfloat16 copies of the weights; hidden values.
        weight_bytes = num_experts * 3 * d_model * config.d_ff * 10
        required_bytes = weight_bytes + num_tokens * TOP_K * config.d_ff * 20
        if required_bytes > 0.9 * torch.cuda.mem_get_info()[0]:
            print(
                f"skipped, does not fit: d_model {d_model}, {num_experts} experts, "
                f"{num_tokens} tokens"
            )
            continue
        yield _measure(build_layer, config, num_experts, num_tokens, turns)
        torch.cuda.empty_cache()


def _measure(
    build_layer: LayerBuilder, config: ModelConfig, num_experts: int, num_tokens: int, turns: int
) -> dict[str, Any]:
    with torch.device("cuda"):
        layer = build_layer(config)
        x = torch.randn(1, num_tokens, config.d_model, requires_grad=True)
        gradient = torch.randn_like(x, dtype=torch.bfloat16)
        valid = torch.ones(1, num_tokens, dtype=torch.bool)
        width = TOP_K * config.d_ff
        wi, wg = (torch.randn(width, config.d_model) * 0.02 for _ in range(2))
        wo = torch.randn(config.d_model, width) * 0.02
    dense_weights = [w.requires_grad_() for w in (wi, wg, wo)]

    def step(call: Callable[[], torch.Tensor], weights: list[torch.Tensor]) -> None:
        for tensor in (x, *weights):
            tensor.grad = None
        with torch.autocast("cuda", torch.bfloat16):
            y = call()
        y.backward(gradient)  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()

    def dense() -> torch.Tensor:
        hidden = F.gelu(F.linear(x, wi), approximate="tanh") * F.linear(x, wg)
        return F.linear(hidden, wo)

    def sparse_step(backend: DispatchBackend) -> Callable[[], None]:
        dispatcher = DISPATCHERS[backend](None)

        def run() -> None:
            layer.dispatch = dispatcher
            step(lambda: layer(x, valid), list(layer.parameters()))

        return run

    cases: dict[str, Callable[[], object]] = {
        "dense": lambda: step(dense, dense_weights),
        "flanmoe": sparse_step("native"),
    }
    if find_spec("tutel") is not None:
        cases["tutel"] = sparse_step("tutel")
    return {
        "phase": f"train, GPU, bfloat16, d_model {config.d_model}",
        "activation": config.activation,
        "router": "st_moe",
        "num_experts": num_experts,
        "top_k": TOP_K,
        "num_tokens": num_tokens,
        **relative_to_dense(time_interleaved(cases, turns)),
        "goal": GOALS.get((num_experts, num_tokens)),
    }
