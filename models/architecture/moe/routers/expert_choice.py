"""Expert choice: each expert takes the tokens that score highest for it.

Zhou et al., arXiv 2202.09368, section 3.2, within a group of n tokens:
    S    = softmax(X W_r)                     n x E, over the experts (float32)
    c    = n * capacity factor / E            rows of each expert
    G, I = top-c of each column of S          gates, and the tokens they belong to
    y_t  = sum over the experts e that took t of S_te * E_e(x_t)
Every expert is full, so the load is even by construction; a token may be taken by any number of
experts, by none included. The choice for a token depends on all others, later ones too: for an
encoder only. The balance loss is computed on each token's most probable expert: FLAN-MoE
(arXiv 2305.14705) found it to help EC models; weight 0 turns it off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.losses import router_z_loss
from models.architecture.moe.routers.scores import RouterWeights
from models.architecture.moe.routing import Assignments, LoadStatistics, Routing, assemble


class ExpertChoiceRouter(RouterWeights):
    """Experts choose tokens."""

    def forward(self, x_BLD: Tensor, valid_BL: Tensor) -> Routing:
        """`x_BLD`: tokens; `valid_BL`: False for padding, which no expert takes."""
        moe, scores = self.config, self.scores(x_BLD, valid_BL)
        chosen = [
            self._choose(torch.nonzero(scores.group_N == group).squeeze(-1), scores.probs_NE, limit)
            for group, limit in enumerate(scores.limit_G)
        ]
        place_A = torch.cat([place for place, _ in chosen])
        expert_A = torch.cat([expert for _, expert in chosen])
        tokens = scores.token_N.numel()
        taken_N = torch.zeros(tokens, dtype=torch.bool, device=place_A.device)
        taken_N[place_A] = True
        return assemble(
            Assignments(
                token_A=scores.token_N[place_A],
                expert_A=expert_A,
                weight_A=scores.probs_NE[place_A, expert_A],
            ),
            probs_NE=scores.probs_NE,
            first_N=scores.probs_NE.argmax(-1),
            z_loss=router_z_loss(scores.logits_NE),
            load=LoadStatistics(
                tokens_per_expert_E=torch.bincount(expert_A, minlength=moe.num_experts),
                dropped=tokens - taken_N.sum().cpu(),
                assigned=torch.tensor(tokens),
                entropy=scores.entropy(),
            ),
        )

    def _choose(self, member_n: Tensor, probs_NE: Tensor, limit: int) -> tuple[Tensor, Tensor]:
        """(index into N, expert) of what the experts take of one group, expert by expert."""
        top_Ec = probs_NE[member_n].detach().t().topk(limit, dim=-1, sorted=False).indices
        # Within an expert in token order, so that results do not depend on how topk sorts.
        top_Ec = top_Ec.sort(dim=-1).values
        expert_Ec = torch.arange(len(top_Ec), device=top_Ec.device)[:, None].expand_as(top_Ec)
        return member_n[top_Ec].flatten(), expert_Ec.flatten()
