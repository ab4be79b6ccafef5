"""Reference implementation of an MoE layer: the papers' equations, token by token in float64."""

import math

import torch

from models.architecture.moe.layer import MoELayer


def to_float64(layer, config):
    """A copy of an encoder's layer in float64."""
    exact = MoELayer(config, decoder=False).double()
    exact.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
    return exact.train(layer.training)


def feed_forward(x, wi, wg, wo):
    h = x @ wi
    if wg is None:
        return torch.relu(h) @ wo
    return (torch.nn.functional.gelu(h, approximate="tanh") * (x @ wg)) @ wo


def capacity_of(moe, num_tokens, training):
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if factor is None:
        return num_tokens
    capacity = math.ceil(factor * num_tokens * moe.top_k / moe.num_experts)
    return min(num_tokens, max(moe.min_capacity, capacity))


def assign(moe, probs, members, training, draw):
    """Return (token, expert, weight) of every assignment of one group."""
    values = [p.tolist() for p in probs]
    capacity = capacity_of(moe, len(members), training)
    if moe.router == "expert_choice":
        return [
            (t, e, probs[t][e])
            for e in range(moe.num_experts)
            for t in sorted(members, key=lambda t, e=e: -values[t][e])[:capacity]
        ]
    choices = {}
    for t in members:
        experts = sorted(range(moe.num_experts), key=lambda e, t=t: -values[t][e])[: moe.top_k]
        gates = [probs[t][e] for e in experts]
        if moe.router == "gshard":
            gates = [g / sum(gates) for g in gates]
            if training and 2 * float(gates[1].detach()) <= draw:
                experts, gates = experts[:1], gates[:1]
        choices[t] = list(zip(experts, gates, strict=True))
    tokens = list(members)
    if moe.batch_priority:
        tokens.sort(key=lambda t: -max(values[t]))
    free_rows, assignments = [capacity] * moe.num_experts, []
    for rank in range(moe.top_k):
        for t in tokens:
            if rank < len(choices[t]):
                e, gate = choices[t][rank]
                if free_rows[e]:
                    free_rows[e] -= 1
                    assignments.append((t, e, gate))
    return assignments


def reference_output(layer, x_BLD, valid_BL, draw=0.5):
    """Return the output `[B, L, D]` of a float64 layer.

    `draw` is the random number that decides whether GShard uses a token's second expert.
    """
    moe, experts = layer.router.config, layer.experts
    rows, length, _ = x_BLD.shape
    x = x_BLD.reshape(rows * length, -1)
    valid = valid_BL.flatten().tolist()
    probs = [torch.softmax(layer.router.weight @ token, dim=0) for token in x]
    y = [torch.zeros_like(token) for token in x]
    group_size = length * (moe.group_rows or rows)
    for start in range(0, rows * length, max(group_size, 1)):
        members = [t for t in range(start, min(start + group_size, rows * length)) if valid[t]]
        for t, e, gate in assign(moe, probs, members, layer.training, draw):
            wg = None if experts.wg_EDF is None else experts.wg_EDF[e]
            y[t] = y[t] + gate * feed_forward(x[t], experts.wi_EDF[e], wg, experts.wo_EFD[e])
    if layer.dense is not None:
        d = layer.dense
        wg = None if d.wg is None else d.wg.t()
        y = [out + feed_forward(t, d.wi.t(), wg, d.wo.t()) for out, t in zip(y, x, strict=True)]
    return torch.stack(y).view_as(x_BLD) if y else x_BLD


def projected_gradients(layer, x, y, projection):
    """Return the gradient of sum(y * projection) by name, zeros for those that are None."""
    inputs = dict(layer.named_parameters()) | {"x": x}
    if not y.requires_grad:
        return {name: torch.zeros_like(t) for name, t in inputs.items()}
    gradients = torch.autograd.grad(
        (y * projection).sum(), list(inputs.values()), allow_unused=True, retain_graph=True
    )
    return {
        name: torch.zeros_like(t) if g is None else g
        for (name, t), g in zip(inputs.items(), gradients, strict=True)
    }
