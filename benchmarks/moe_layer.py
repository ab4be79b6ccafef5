"""Speed of an MoE layer and of its peers, relative to a dense layer of the same active FLOPs.

    python -m benchmarks.moe_layer --quick
    python -m benchmarks.moe_layer --json figures.json

float32, forward and backward unless stated otherwise; the router is part of every MoE figure. Every
figure is time / time of a torch feed-forward layer of the same active FLOPs (`F.linear`,
activation, `F.linear`), measured interleaved; medians. Peers: Tutel (if installed), fairscale's
MOELayer, the Switch and Mixtral blocks of transformers. "decode" is a forward pass of 32 tokens
that alternates between the weights of 4 layers, as in generation, so that they are not in the
cache. `--quick` measures a layer of 8 experts on few tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.moe_peers import D_FF, D_MODEL, build_peers
from benchmarks.timing import (
    machine_info,
    relative_to_dense,
    start_benchmark,
    time_interleaved,
    write_figures,
)
from models.architecture.moe.layer import MoELayer
from models.choices import Activation, RouterName
from models.config import ModelConfig, MoEConfig

GOALS = {(16, 1): 1.05, (16, 2): 1.00, (64, 1): 1.20, (64, 2): 1.20}
"""Upper bounds of the relative time, by (num_experts, top_k)."""
Step = Callable[[], object]


def main() -> None:
    """Measure, print a table and write the figures."""
    turns, options = start_benchmark(__doc__)
    figures: dict[str, Any] = {
        "machine": machine_info("torch", "transformers", "fairscale", "tutel"),
        "rows": [],
    }
    activations: tuple[Activation, ...] = ("relu",) if options.quick else ("relu", "gated_gelu")
    sizes = (8,) if options.quick else (16, 64)
    num_tokens = 256 if options.quick else 4096
    for activation, num_experts, top_k in itertools.product(activations, sizes, (1, 2)):
        row = _measure_training(
            activation, num_experts, top_k, num_tokens, turns, include_slow=not options.quick
        )
        _report(figures, row)
    if not options.quick:
        row = _measure_training(
            "relu", 64, 1, num_tokens, turns, include_slow=False, router="expert_choice"
        )
        _report(figures, row)
    for num_experts, top_k in itertools.product(sizes, (1, 2)):
        _report(figures, _measure_decoding(num_experts, top_k, 10 * turns))
    if torch.cuda.is_available():
        from benchmarks.moe_layer_gpu import measure_on_gpu

        for row in measure_on_gpu(layer_config, build_layer, turns):
            _report(figures, row)
    else:
        print("no GPU: skipped bfloat16 with 16k and 64k tokens")
    write_figures(figures, options.json)


def layer_config(
    activation: Activation, num_experts: int, top_k: int, router: RouterName | None = None
) -> ModelConfig:
    """Return the configuration of a dropless layer; the default router is that of `top_k`."""
    default_router: RouterName = "switch" if top_k == 1 else "st_moe"
    moe = MoEConfig(
        num_experts=num_experts,
        top_k=top_k,
        router=router or default_router,
        decoder_router="switch" if router == "expert_choice" else None,
        capacity_factor_train=1.0 if router == "expert_choice" else None,
        capacity_factor_eval=None,
        expert_dropout=0.0,
    )
    return ModelConfig(
        vocab_size=8,
        d_model=D_MODEL,
        d_ff=D_FF,
        num_heads=8,
        d_kv=64,
        num_layers=2,
        activation=activation,
        moe=moe,
    )


def build_layer(config: ModelConfig) -> MoELayer:
    """Build a layer with random weights, as at the start of training: an almost balanced load."""
    torch.manual_seed(0)
    layer = MoELayer(config, decoder=False)
    for module in layer.modules():
        if module is not layer and hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    return layer


def dense_step(activation: Activation, top_k: int, num_tokens: int) -> Step:
    """Return a function: forward and backward of a dense torch layer, top_k times as wide."""
    wi, wg, wo = (torch.randn(*s) * 0.02 for s in _dense_shapes(activation, top_k))
    weights = [w.requires_grad_() for w in (wi, wg, wo)]
    x = torch.randn(num_tokens, D_MODEL, requires_grad=True)
    gradient = torch.randn(num_tokens, D_MODEL)

    def step() -> None:
        for tensor in (x, *weights):
            tensor.grad = None
        F.linear(_hidden(activation, x, wi, wg), wo).backward(gradient)

    return step


def _dense_shapes(activation: Activation, top_k: int) -> list[tuple[int, int]]:
    width = top_k * D_FF
    return [(width, D_MODEL), (width if activation != "relu" else 0, D_MODEL), (D_MODEL, width)]


def _hidden(
    activation: Activation, x: torch.Tensor, wi: torch.Tensor, wg: torch.Tensor
) -> torch.Tensor:
    if activation == "relu":
        return F.relu(F.linear(x, wi))
    return F.gelu(F.linear(x, wi), approximate="tanh") * F.linear(x, wg)


def module_step(
    module: torch.nn.Module, num_tokens: int, call: Callable[[torch.Tensor], Any]
) -> Step:
    """Return a function: forward and backward of a module, always on the same input.

    Args:
        module: module whose gradients are reset before each pass.
        num_tokens: tokens of the input.
        call: calls the module on an input `[1, num_tokens, D_MODEL]`.
    """
    x = torch.randn(1, num_tokens, D_MODEL, requires_grad=True)
    gradient = torch.randn(1, num_tokens, D_MODEL)

    def step() -> None:
        x.grad = None
        module.zero_grad(set_to_none=True)
        call(x).backward(gradient)

    return step


def _measure_training(
    activation: Activation,
    num_experts: int,
    top_k: int,
    num_tokens: int,
    turns: int,
    *,
    include_slow: bool,
    router: RouterName | None = None,
) -> dict[str, Any]:
    config = layer_config(activation, num_experts, top_k, router)
    layer = build_layer(config).train()
    valid = torch.ones(1, num_tokens, dtype=torch.bool)
    cases: dict[str, Step] = {
        "dense": dense_step(activation, top_k, num_tokens),
        "flanmoe": module_step(layer, num_tokens, lambda x: layer(x, valid)),
    }
    peers = build_peers(activation, num_experts, top_k, include_slow=include_slow)
    for name, (module, call) in peers.items():
        cases[name] = module_step(module, num_tokens, call)
    goal = None if router else GOALS.get((num_experts, top_k))
    return _row("train", config, num_tokens, time_interleaved(cases, turns), goal)


def _measure_decoding(num_experts: int, top_k: int, turns: int) -> dict[str, Any]:
    num_tokens, num_layers = 32, 4
    valid = torch.ones(1, num_tokens, dtype=torch.bool)
    config = layer_config("relu", num_experts, top_k)
    layers = [build_layer(config).eval() for _ in range(num_layers)]
    dense = [
        [torch.randn(*s) * 0.02 for s in _dense_shapes("relu", top_k)] for _ in range(num_layers)
    ]
    x = torch.randn(1, num_tokens, D_MODEL)

    def rotate(functions: list[Callable[[], object]]) -> Step:
        order = itertools.cycle(functions)
        return lambda: next(order)()

    cases: dict[str, Step] = {
        "dense": rotate(
            [lambda w=w: F.linear(F.relu(F.linear(x, w[0])), w[2]) for w in dense]  # type: ignore[misc]
        ),
        "flanmoe": rotate([lambda m=m: m(x, valid) for m in layers]),  # type: ignore[misc]
    }
    peers = [build_peers("relu", num_experts, top_k, include_slow=False) for _ in range(num_layers)]
    for name in peers[0]:
        calls = [by_name[name][1] for by_name in peers]
        cases[name] = rotate([lambda c=c: c(x) for c in calls])  # type: ignore[misc]
    with torch.no_grad():
        return _row("decode", config, num_tokens, time_interleaved(cases, turns, warmup=8), None)


def _row(
    phase: str, config: ModelConfig, num_tokens: int, seconds: dict[str, float], goal: float | None
) -> dict[str, Any]:
    assert config.moe is not None
    return {
        "phase": phase,
        "activation": config.activation,
        "router": config.moe.router,
        "num_experts": config.moe.num_experts,
        "top_k": config.moe.top_k,
        "num_tokens": num_tokens,
        **relative_to_dense(seconds),
        "goal": goal,
    }


def _report(figures: dict[str, Any], row: dict[str, Any]) -> None:
    if not figures["rows"]:
        print("time / time of a dense layer of the same active FLOPs")
    figures["rows"].append(row)
    name = (
        f"{row['phase']} {row['activation']} {row['router']} {row['num_experts']} experts "
        f"top-{row['top_k']}"
    )
    ratios = "  ".join(f"{case} {ratio:.2f}" for case, ratio in row["relative_time"].items())
    goal = f"  (goal {row['goal']:.2f})" if row["goal"] else ""
    print(f"{name:<52} dense {row['dense_ms']:>8.2f} ms  {ratios}{goal}", flush=True)


if __name__ == "__main__":
    main()
