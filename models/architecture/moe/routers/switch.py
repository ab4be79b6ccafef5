"""Switch routing: each token goes to its most probable expert.

Fedus et al., arXiv 2101.03961, section 2.1:
    p(x) = softmax(W_r x)                       (router, float32)
    i    = argmax_i p_i(x)
    y    = p_i(x) * E_i(x)                      (eq. 2 with k = 1)
An expert accepts at most `capacity` tokens, in token order; the rest pass through the
residual connection alone.

Shape suffixes: T tokens, D d_model, E experts, A assignments.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.architecture.moe.losses import balance_loss, router_z_loss
from models.architecture.moe.routing import LoadStatistics, Routing, capacity, slots
from models.config import MoEConfig


class SwitchRouter(nn.Module):
    """Top-1 router. Weights `[E, D]`, drawn from N(0, 0.02), used in float32."""

    def __init__(self, d_model: int, config: MoEConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.num_experts, d_model))

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x_TD: Tensor, valid_T: Tensor) -> Routing:
        """`x_TD`: tokens; `valid_T`: bool, False for padding, which takes no capacity."""
        moe = self.config
        index_T = torch.nonzero(valid_T).squeeze(-1)
        with torch.autocast(x_TD.device.type, enabled=False):
            h_TD = x_TD[index_T].float()
            if self.training and moe.jitter:
                # Only what the router sees is disturbed, never what the experts see.
                h_TD = h_TD * torch.empty_like(h_TD).uniform_(1 - moe.jitter, 1 + moe.jitter)
            logits_TE = h_TD @ self.weight.float().t()
            probs_TE = torch.softmax(logits_TE, dim=-1)
        tokens = index_T.numel()
        gate_T, expert_T = probs_TE.max(dim=-1)
        factor = moe.capacity_factor_train if self.training else moe.capacity_factor_eval
        limit = capacity(tokens, moe.num_experts, moe.k, factor, moe.min_capacity)
        slot_T = slots(expert_T, moe.num_experts)
        kept = torch.nonzero(slot_T < limit).squeeze(-1)
        kept = kept[torch.argsort(expert_T[kept], stable=True)]
        log_probs = torch.log_softmax(logits_TE.detach(), dim=-1)
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        return Routing(
            token_A=index_T[kept],
            expert_A=expert_T[kept],
            slot_A=slot_T[kept],
            weight_A=gate_T[kept],
            rows_per_expert_E=torch.bincount(expert_T[kept], minlength=moe.num_experts),
            balance_loss=balance_loss(probs_TE, expert_T),
            z_loss=router_z_loss(logits_TE),
            load=LoadStatistics(
                tokens_per_expert_E=torch.bincount(expert_T, minlength=moe.num_experts),
                dropped=torch.tensor(tokens - kept.numel()),
                assigned=torch.tensor(tokens),
                entropy=entropy.mean() if tokens else torch.zeros(()),
            ),
        )
