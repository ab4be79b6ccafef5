"""The hidden values of a feed-forward network, dense or an expert: ReLU, or gated GELU (T5 v1.1).

Shape suffixes: M rows, D d_model, F d_ff.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.architecture.matmul import mm

Kept = tuple[Tensor | None, Tensor | None, Tensor | None]
"""a, gelu(a) and b of a gated layer; nothing of a ReLU, whose output says enough."""


def activation(a: Tensor, b: Tensor | None) -> Tensor:
    """ReLU of a, or with a second input gelu(a) * b."""
    if b is None:
        return F.relu(a, inplace=not a.requires_grad)
    return F.gelu(a, approximate="tanh") * b


def hidden(x_MD: Tensor, wi_DF: Tensor, wg_DF: Tensor | None) -> tuple[Tensor, Kept]:
    """`[M, F]`, and what `hidden_gradient` needs. For the inside of autograd functions."""
    a_MF = mm(x_MD, wi_DF, relu=wg_DF is None)
    if wg_DF is None:
        return a_MF, (None, None, None)
    gelu_MF = F.gelu(a_MF, approximate="tanh")
    b_MF = mm(x_MD, wg_DF)
    return gelu_MF * b_MF, (a_MF, gelu_MF, b_MF)


def hidden_gradient(dh_MF: Tensor, h_MF: Tensor, kept: Kept) -> tuple[Tensor, Tensor | None]:
    """Gradients of a = x wi and, where there is one, b = x wg. The first is written over `dh_MF`.

    `h_MF`: the hidden values after dropout: with ReLU, above 0 where neither of the two cut them.
    """
    a_MF, gelu_MF, b_MF = kept
    if a_MF is None or gelu_MF is None or b_MF is None:
        torch.ops.aten.threshold_backward.grad_input(dh_MF, h_MF, 0, grad_input=dh_MF)
        return dh_MF, None
    db_MF = dh_MF * gelu_MF
    dh_MF *= b_MF
    torch.ops.aten.gelu_backward.grad_input(dh_MF, a_MF, approximate="tanh", grad_input=dh_MF)
    return dh_MF, db_MF
