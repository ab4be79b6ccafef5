"""An MoE layer by its papers' equations, token by token in float64: what ours is tested against."""

import math

import torch

from models.architecture.moe.layer import MoELayer
from models.config import ModelConfig, MoEConfig

ROUTERS = {"switch": 1, "gshard": 2, "st_moe": 2, "expert_choice": 2}


def config(router="switch", experts=4, factor=None, activation="relu", d_model=8, d_ff=16, **moe):
    moe = {"k": ROUTERS[router], "min_capacity": 1, "expert_dropout": 0.0, **moe}
    return ModelConfig(
        vocab_size=8,
        d_model=d_model,
        d_ff=d_ff,
        num_heads=1,
        d_kv=8,
        num_layers=2,
        activation=activation,
        moe=MoEConfig(
            num_experts=experts,
            router=router,
            capacity_factor_train=factor,
            capacity_factor_eval=factor,
            **moe,
        ),
    )


def build(made_of, seed=0, spread=1.0):
    """An encoder's MoE layer; `spread` makes loads uneven, and some experts empty."""
    torch.manual_seed(seed)
    layer = MoELayer(made_of, decoder=False)
    for module in layer.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    torch.nn.init.normal_(layer.router.weight, std=spread)
    return layer


def in_float64(layer, made_of):
    exact = MoELayer(made_of, decoder=False).double()
    exact.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
    return exact.train(layer.training)


def feed_forward(x, wi, wg, wo):
    h = x @ wi
    if wg is None:
        return torch.relu(h) @ wo
    return (torch.nn.functional.gelu(h, approximate="tanh") * (x @ wg)) @ wo


def room_in(moe, tokens, training):
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if factor is None:
        return tokens
    return min(
        tokens, max(moe.min_capacity, math.ceil(factor * tokens * moe.top_k / moe.num_experts))
    )


def choices(moe, probs, members, training, draw):
    """(token, expert, weight) of every assignment of one group."""
    known = [p.tolist() for p in probs]
    room = room_in(moe, len(members), training)
    if moe.router == "expert_choice":
        found = []
        for e in range(moe.num_experts):
            best = sorted(members, key=lambda t: -known[t][e])[:room]
            found += [(t, e, probs[t][e]) for t in best]
        return found
    picks = {}
    for t in members:
        order = sorted(range(moe.num_experts), key=lambda e: -known[t][e])[: moe.top_k]
        gates = [probs[t][e] for e in order]
        if moe.router == "gshard":
            gates = [g / sum(gates) for g in gates]
            if training and 2 * float(gates[1].detach()) <= draw:
                order, gates = order[:1], gates[:1]
        picks[t] = list(zip(order, gates, strict=True))
    tokens = list(members)
    if moe.batch_priority:
        tokens.sort(key=lambda t: -max(known[t]))
    left, found = [room] * moe.num_experts, []
    for choice in range(moe.top_k):
        for t in tokens:
            if choice < len(picks[t]):
                e, gate = picks[t][choice]
                if left[e]:
                    left[e] -= 1
                    found.append((t, e, gate))
    return found


def brute_force(layer, x_BLD, valid_BL, draw=0.5):
    """Output `[B, L, D]`. `layer`: in float64; `draw`: the random number of GShard's second."""
    moe, experts = layer.router.config, layer.experts
    rows, length, _ = x_BLD.shape
    x = x_BLD.reshape(rows * length, -1)
    valid = valid_BL.flatten().tolist()
    probs = [torch.softmax(layer.router.weight @ token, dim=0) for token in x]
    y = [torch.zeros_like(token) for token in x]
    size = length * (moe.group_rows or rows)
    for start in range(0, rows * length, max(size, 1)):
        members = [t for t in range(start, min(start + size, rows * length)) if valid[t]]
        for t, e, gate in choices(moe, probs, members, layer.training, draw):
            wg = None if experts.wg_EDF is None else experts.wg_EDF[e]
            y[t] = y[t] + gate * feed_forward(x[t], experts.wi_EDF[e], wg, experts.wo_EFD[e])
    if layer.dense is not None:
        d = layer.dense
        wg = None if d.wg is None else d.wg.t()
        y = [out + feed_forward(t, d.wi.t(), wg, d.wo.t()) for out, t in zip(y, x, strict=True)]
    return torch.stack(y).view_as(x_BLD) if y else x_BLD


def gradients(layer, x, y, weight):
    """Name -> gradient of sum(y * weight); zeros where none flows."""
    named = dict(layer.named_parameters()) | {"x": x}
    if not y.requires_grad:
        return {name: torch.zeros_like(t) for name, t in named.items()}
    found = torch.autograd.grad(
        (y * weight).sum(), list(named.values()), allow_unused=True, retain_graph=True
    )
    return {
        name: torch.zeros_like(t) if g is None else g
        for (name, t), g in zip(named.items(), found, strict=True)
    }
