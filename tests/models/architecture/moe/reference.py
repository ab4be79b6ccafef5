"""Reference implementation of an MoE layer, token by token in float64.

Written from the papers' equations and the behaviour of google/flaxformer's MoeLayer and routers,
padding excepted, which takes no capacity here.
"""

import math
from fractions import Fraction

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
    """The number of rows of an expert's buffer.

    Switch, eq. 3, and flaxformer: (tokens / experts) * factor, rounded, for any number of choices
    per token. Tutel: times the number of choices, rounded up.
    """
    factor = moe.capacity_factor_train if training else moe.capacity_factor_eval
    if factor is None:
        return num_tokens
    mean_load = Fraction(num_tokens, moe.num_experts) * Fraction(str(factor))
    if moe.capacity_per == "token":
        floor, rest = divmod(mean_load, 1)
        is_up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1)
        rows = floor + is_up
    else:
        rows = math.ceil(mean_load * moe.top_k)
    return max(rows, moe.min_capacity)


def top_2_gates(moe, probs, training, draw):
    """Gates of the two chosen experts, and how many of them are used.

    GShard, algorithm 1: divided by their sum, the second used if 2 * g2 > draw. ST-MoE: neither.
    Mesh TensorFlow: divided by their sum, the second used if g2 / 0.2 > draw.
    """
    is_gshard = moe.router == "gshard"
    normalize = is_gshard if moe.normalize_gates is None else moe.normalize_gates
    threshold = moe.second_expert_threshold
    if threshold is None:
        threshold = 0.5 if is_gshard else 0.0
    gates = [p / sum(probs) for p in probs] if normalize else probs
    is_used = not training or threshold == 0 or float(gates[1].detach()) / threshold > draw
    return gates, 2 if is_used else 1


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
        if moe.top_k == 2:
            gates, num_used = top_2_gates(moe, gates, training, draw)
            experts = experts[:num_used]
        choices[t] = list(zip(experts, gates, strict=False))
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


def group_sizes(moe, rows, length):
    """Positions of each group, in order.

    flaxformer divides all positions evenly into as few groups of at most `group_tokens` as it can.
    """
    if moe.group_rows:
        full, rest = divmod(rows, moe.group_rows)
        return [length * moe.group_rows] * full + [length * rest]
    positions = rows * length
    num_groups = math.ceil(positions / moe.group_tokens) if moe.group_tokens else 1
    size = math.ceil(positions / max(num_groups, 1))
    return [min(size, positions - size * i) for i in range(num_groups)]


def reference_output(layer, x_BLD, valid_BL, draw=0.5):
    """Return the output `[B, L, D]` of a float64 layer.

    `draw` is the random number that decides whether a token's second expert is used.
    """
    moe, experts = layer.router.config, layer.experts
    rows, length, _ = x_BLD.shape
    x = x_BLD.reshape(rows * length, -1)
    valid = valid_BL.flatten().tolist()
    probs = [torch.softmax(layer.router.weight @ token, dim=0) for token in x]
    y = [torch.zeros_like(token) for token in x]
    start = 0
    for size in group_sizes(moe, rows, length):
        members = [t for t in range(start, start + size) if valid[t]]
        start += size
        for t, e, gate in assign(moe, probs, members, layer.training, draw):
            wg = None if experts.wg_EDF is None else experts.wg_EDF[e]
            y[t] = y[t] + gate * feed_forward(x[t], experts.wi_EDF[e], wg, experts.wo_EFD[e])
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
