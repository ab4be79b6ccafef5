"""The GPU part of benchmarks.moe_layer: bfloat16 autocast, gated GELU, top-2, forward and backward.

Native and Tutel dispatch of the same layer, each against a dense layer of the same active FLOPs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.timing import interleaved, times_dense
from models.architecture.moe.dispatch.table import BACKENDS
from models.architecture.moe.layer import MoELayer
from models.config import ModelConfig

Build = Callable[[ModelConfig], MoELayer]
K = 2
GOAL = {(8, 65_536): 1.15}
"""At most times dense, at (experts, tokens)."""


def rows_on_gpu(
    config: Callable[[str, int, int], ModelConfig], build: Build, turns: int
) -> Iterator[dict[str, Any]]:
    """One row a size, in the form of benchmarks.moe_layer. Sizes that do not fit are left out."""
    sizes = itertools.product((1024, 4096), (8, 32, 128), (16_384, 65_536))
    for width, experts, tokens in sizes:
        made_of = dataclasses.replace(
            config("gated_gelu", experts, K), d_model=width, d_ff=4 * width
        )
        # Weights and gradients in float32, and their bfloat16 copies.
        needed = experts * 3 * width * made_of.d_ff * 10 + tokens * K * made_of.d_ff * 20
        if needed > 0.9 * torch.cuda.mem_get_info()[0]:
            print(f"left out: d_model {width}, {experts} experts, {tokens} tokens do not fit")
            continue
        yield _row(build, made_of, experts, tokens, turns)
        torch.cuda.empty_cache()


def _row(
    build: Build, made_of: ModelConfig, experts: int, tokens: int, turns: int
) -> dict[str, Any]:
    with torch.device("cuda"):
        layer = build(made_of)
        x = torch.randn(1, tokens, made_of.d_model, requires_grad=True)
        gradient = torch.randn_like(x, dtype=torch.bfloat16)
        valid = torch.ones(1, tokens, dtype=torch.bool)
        wide = K * made_of.d_ff
        wi, wg = (torch.randn(wide, made_of.d_model) * 0.02 for _ in range(2))
        wo = torch.randn(made_of.d_model, wide) * 0.02
    dense = [w.requires_grad_() for w in (wi, wg, wo)]

    def step(call: Callable[[], torch.Tensor], weights: list[torch.Tensor]) -> None:
        for tensor in (x, *weights):
            tensor.grad = None
        with torch.autocast("cuda", torch.bfloat16):
            y = call()
        y.backward(gradient)  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()

    def plain() -> torch.Tensor:
        hidden = F.gelu(F.linear(x, wi), approximate="tanh") * F.linear(x, wg)
        return F.linear(hidden, wo)

    def sparse(backend: str) -> Callable[[], None]:
        dispatch = BACKENDS[backend](None)

        def run() -> None:
            layer.dispatch = dispatch
            step(lambda: layer(x, valid), list(layer.parameters()))

        return run

    cases: dict[str, Callable[[], object]] = {
        "dense": lambda: step(plain, dense),
        "ours": sparse("native"),
    }
    if find_spec("tutel") is not None:
        cases["tutel"] = sparse("tutel")
    seconds = interleaved(cases, turns)
    return {
        "what": f"gpu bf16 d {made_of.d_model}",
        "activation": made_of.activation,
        "router": "st_moe",
        "experts": experts,
        "k": K,
        "tokens": tokens,
        **times_dense(seconds),
        "goal": GOAL.get((experts, tokens)),
    }
