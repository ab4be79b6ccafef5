"""Expert-choice routing: each expert takes the tokens with the highest scores for it.

Zhou et al., arXiv 2202.09368, section 3.2, within a group of n tokens:
    S    = softmax(X W_r)                          n x E, over the experts (float32)
    c    = n * capacity factor / E                 tokens per expert (`expert_capacity`)
    G, I = top-c of each column of S               gates, and the indices of their tokens
    y_t  = sum over the experts e that chose t of S_te * E_e(x_t)
Every expert is full, so the load is balanced by construction; a token may be chosen by any number
of experts, including none. The choice for a token depends on all other tokens, later ones included,
so the router is not causal and serves encoders only. The published models have no load-balancing
loss; FLAN-MoE (arXiv 2305.14705) reports that one helps. With a weight above 0 the loss uses each
token's most probable expert.

Shape suffixes: N valid tokens, E experts, A assignments, C capacity, M tokens of one group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.losses import router_z_loss
from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routing import Assignments, LoadStatistics, Routing, build_routing


class ExpertChoiceRouter(RouterWeights):
    """Router in which experts choose tokens."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """Route a batch of tokens.

        Args:
            x_BLD: tokens, float `[B, L, D]`.
            valid_BL: bool `[B, L]`, False for padding, which no expert chooses.
        """
        moe, scores = self.config, self.scores(x_BLD, valid_BL)
        choices = [
            self._choose_tokens(
                torch.nonzero(scores.group_N == group).squeeze(-1), scores.probs_NE, capacity
            )
            for group, capacity in enumerate(scores.capacity_G)
        ]
        index_A = torch.cat([index for index, _ in choices])
        expert_A = torch.cat([expert for _, expert in choices])
        num_tokens = scores.token_N.numel()
        is_chosen_N = torch.zeros(num_tokens, dtype=torch.bool, device=index_A.device)
        is_chosen_N[index_A] = True
        return build_routing(
            Assignments(
                token_A=scores.token_N[index_A],
                expert_A=expert_A,
                weight_A=scores.probs_NE[index_A, expert_A],
            ),
            probs_NE=scores.probs_NE,
            balance_choice_NC=scores.probs_NE.argmax(-1, keepdim=True),
            z_loss=router_z_loss(scores.logits_NE),
            load=LoadStatistics(
                requested_per_expert_E=torch.bincount(expert_A, minlength=moe.num_experts),
                num_dropped=num_tokens - is_chosen_N.sum().cpu(),
                num_requested=torch.tensor(num_tokens),
                entropy=scores.entropy(),
            ),
        )

    def _choose_tokens(
        self, member_M: Tensor, probs_NE: Tensor, capacity: int
    ) -> tuple[Tensor, Tensor]:
        """Choose `capacity` tokens of one group per expert.

        Args:
            member_M: indices into N of the tokens of the group, int64.
            probs_NE: router probabilities of all valid tokens, float `[N, E]`.
            capacity: C.

        Returns:
            Index into N and expert of each assignment, int64 `[E * C]` each.
        """
        top_EC = probs_NE[member_M].detach().t().topk(capacity, dim=-1, sorted=False).indices
        # In token order within an expert, so that results do not depend on how topk sorts.
        top_EC = top_EC.sort(dim=-1).values
        expert_EC = torch.arange(len(top_EC), device=top_EC.device)[:, None].expand_as(top_EC)
        return member_M[top_EC].flatten(), expert_EC.flatten()
