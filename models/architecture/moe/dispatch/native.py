"""Native dispatch: gather rows in expert order, run the experts, scatter-add the results.

Shape suffixes: T tokens, D d_model, A assignments.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.moe.experts import Experts
from models.architecture.moe.routing import Routing


def dispatch(x_TD: Tensor, routing: Routing, experts: Experts) -> Tensor:
    """y_t = sum over the assignments of t of weight * expert(x_t); 0 where there is none."""
    out_AD = experts(x_TD[routing.token_A], routing.rows_per_expert_E)
    out_AD = out_AD * routing.weight_A.to(out_AD.dtype).unsqueeze(-1)
    y_TD = torch.zeros_like(x_TD, dtype=out_AD.dtype)
    return y_TD.index_add(0, routing.token_A, out_AD)
