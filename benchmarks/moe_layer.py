"""Speed of one MoE layer against a dense layer of the same active FLOPs, and against its peers.

    python -m benchmarks.moe_layer --quick
    python -m benchmarks.moe_layer --json figures.json

float32, forward and backward, unless said otherwise; the router is part of every MoE figure. Every
figure is time / time of a plain torch feed-forward of the same active FLOPs (`F.linear`, act,
`F.linear`), measured in the same turns; medians. Peers: Tutel (where installed), fairscale's
MOELayer, the Switch and Mixtral blocks of transformers. "decode" is a forward pass of 32 tokens,
each turn with other weights of 4 layers, as a model that generates meets them: not in the cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.moe_peers import D_FF, D_MODEL, peers
from benchmarks.timing import begin, interleaved, machine, times_dense, write
from models.architecture.moe.layer import MoELayer
from models.config import ModelConfig, MoEConfig

GOALS = {(16, 1): 1.05, (16, 2): 1.00, (64, 1): 1.20, (64, 2): 1.20}
Step = Callable[[], object]


def main() -> None:
    """Measures, prints a table, and writes the figures where asked."""
    turns, chosen = begin(__doc__)
    figures: dict[str, Any] = {
        "machine": machine("torch", "transformers", "fairscale", "tutel"),
        "rows": [],
    }
    kinds = ("relu",) if chosen.quick else ("relu", "gated_gelu")
    for kind, experts, k in itertools.product(kinds, (16, 64), (1, 2)):
        _show(figures, _training(kind, experts, k, turns, slow=not chosen.quick))
    if not chosen.quick:
        _show(figures, _training("relu", 64, 1, turns, slow=False, router="expert_choice"))
    for experts, k in itertools.product((16, 64), (1, 2)):
        _show(figures, _decoding(experts, k, 10 * turns))
    if torch.cuda.is_available():
        from benchmarks.moe_layer_gpu import rows_on_gpu

        for row in rows_on_gpu(config, layer, turns):
            _show(figures, row)
    else:
        print("no GPU: bfloat16 at 16k and 64k tokens is left out")
    write(figures, chosen.json)


def config(kind: str, experts: int, k: int, router: str | None = None) -> ModelConfig:
    """One layer's sizes; dropless."""
    moe = MoEConfig(
        num_experts=experts,
        top_k=k,
        router=router or ("switch" if k == 1 else "st_moe"),
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
        activation=kind,
        moe=moe,
    )


def layer(made_of: ModelConfig) -> MoELayer:
    """With fresh weights, as at the start of training: an almost even load."""
    torch.manual_seed(0)
    made = MoELayer(made_of, decoder=False)
    for module in made.modules():
        if module is not made and hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    return made


def dense(kind: str, k: int, tokens: int) -> Step:
    """Plain torch: k times the hidden width, so that active FLOPs are the same."""
    wi, wg, wo = (torch.randn(*s) * 0.02 for s in _dense_shapes(kind, k))
    weights = [w.requires_grad_() for w in (wi, wg, wo)]
    x = torch.randn(tokens, D_MODEL, requires_grad=True)
    gradient = torch.randn(tokens, D_MODEL)

    def step() -> None:
        for tensor in (x, *weights):
            tensor.grad = None
        F.linear(_hidden(kind, x, wi, wg), wo).backward(gradient)

    return step


def _dense_shapes(kind: str, k: int) -> list[tuple[int, int]]:
    wide = k * D_FF
    return [(wide, D_MODEL), (wide if kind != "relu" else 0, D_MODEL), (D_MODEL, wide)]


def _hidden(kind: str, x: torch.Tensor, wi: torch.Tensor, wg: torch.Tensor) -> torch.Tensor:
    if kind == "relu":
        return F.relu(F.linear(x, wi))
    return F.gelu(F.linear(x, wi), approximate="tanh") * F.linear(x, wg)


def step_of(module: torch.nn.Module, *, tokens: int, call: Callable[[torch.Tensor], Any]) -> Step:
    """Forward and backward of a module on the same input each time."""
    x = torch.randn(1, tokens, D_MODEL, requires_grad=True)
    gradient = torch.randn(1, tokens, D_MODEL)

    def step() -> None:
        x.grad = None
        module.zero_grad(set_to_none=True)
        call(x).backward(gradient)

    return step


def _training(
    kind: str, experts: int, k: int, turns: int, *, slow: bool, router: str | None = None
) -> dict[str, Any]:
    tokens = 4096
    made = layer(config(kind, experts, k, router)).train()
    valid = torch.ones(1, tokens, dtype=torch.bool)
    cases: dict[str, Step] = {
        "dense": dense(kind, k, tokens),
        "ours": step_of(made, tokens=tokens, call=lambda x: made(x, valid)),
    }
    for name, (module, call) in peers(kind, experts, k, slow=slow).items():
        cases[name] = step_of(module, tokens=tokens, call=call)
    return _row("train", kind, experts, k, tokens, interleaved(cases, turns), router)


def _decoding(experts: int, k: int, turns: int) -> dict[str, Any]:
    tokens, copies = 32, 4
    valid = torch.ones(1, tokens, dtype=torch.bool)
    layers = [layer(config("relu", experts, k)).eval() for _ in range(copies)]
    plain = [[torch.randn(*s) * 0.02 for s in _dense_shapes("relu", k)] for _ in range(copies)]
    x = torch.randn(1, tokens, D_MODEL)

    def rotate(functions: list[Callable[[], object]]) -> Step:
        order = itertools.cycle(functions)
        return lambda: next(order)()

    cases: dict[str, Step] = {
        "dense": rotate(
            [lambda w=w: F.linear(F.relu(F.linear(x, w[0])), w[2]) for w in plain]  # type: ignore[misc]
        ),
        "ours": rotate([lambda m=m: m(x, valid) for m in layers]),  # type: ignore[misc]
    }
    others = [peers("relu", experts, k, slow=False) for _ in range(copies)]
    for name in others[0]:
        chosen = [other[name] for other in others]
        cases[name] = rotate([lambda c=c: c[1](x) for c in chosen])  # type: ignore[misc]
    with torch.no_grad():
        return _row("decode", "relu", experts, k, tokens, interleaved(cases, turns, 8), None)


def _row(
    what: str,
    kind: str,
    experts: int,
    k: int,
    tokens: int,
    seconds: dict[str, float],
    router: str | None,
) -> dict[str, Any]:
    return {
        "what": what,
        "activation": kind,
        "router": router or ("switch" if k == 1 else "st_moe"),
        "experts": experts,
        "k": k,
        "tokens": tokens,
        **times_dense(seconds),
        "goal": GOALS.get((experts, k)) if what == "train" and not router else None,
    }


def _show(figures: dict[str, Any], row: dict[str, Any]) -> None:
    if not figures["rows"]:
        print("time / dense of the same active FLOPs")
    figures["rows"].append(row)
    name = (
        f"{row['what']} {row['activation']} {row['router']} {row['experts']} experts top-{row['k']}"
    )
    found = "  ".join(f"{peer} {ratio:.2f}" for peer, ratio in row["times_dense"].items())
    goal = f"  (goal {row['goal']:.2f})" if row["goal"] else ""
    print(f"{name:<52} dense {row['dense_ms']:>8.2f} ms  {found}{goal}", flush=True)


if __name__ == "__main__":
    main()
