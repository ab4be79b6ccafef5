"""Hidden values of a feed-forward network, dense or an expert: ReLU or gated GELU (T5 v1.1).

Shape suffixes: M rows, D d_model, F d_ff.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.architecture.matmul import mm

Intermediates = tuple[Tensor | None, Tensor | None, Tensor | None]
"""a, gelu(a) and b of a gated layer; three Nones for ReLU, whose output is sufficient."""


def activation(a: Tensor, b: Tensor | None) -> Tensor:
    """Compute relu(a), or gelu(a) * b with a gate.

    Args:
        a: output of the input projection wi, any shape; overwritten if it needs no gradient.
        b: output of the gate projection wg, the same shape; None: ReLU.
    """
    if b is None:
        return F.relu(a, inplace=not a.requires_grad)
    return F.gelu(a, approximate="tanh") * b


def hidden(x_MD: Tensor, wi_DF: Tensor, wg_DF: Tensor | None) -> tuple[Tensor, Intermediates]:
    """Compute the hidden values without recording gradients; for use in autograd functions.

    Args:
        x_MD: rows, float `[M, D]`.
        wi_DF: input projection.
        wg_DF: gate projection; None: ReLU.

    Returns:
        Hidden values `[M, F]`, and the intermediates for `hidden_gradient`.
    """
    a_MF = mm(x_MD, wi_DF, relu=wg_DF is None)
    if wg_DF is None:
        return a_MF, (None, None, None)
    gelu_MF = F.gelu(a_MF, approximate="tanh")
    b_MF = mm(x_MD, wg_DF)
    return gelu_MF * b_MF, (a_MF, gelu_MF, b_MF)


def hidden_gradient(
    dh_MF: Tensor, h_MF: Tensor, intermediates: Intermediates
) -> tuple[Tensor, Tensor | None]:
    """Compute the gradients of a = x wi and b = x wg.

    Args:
        dh_MF: gradient of the hidden values; overwritten by the first result.
        h_MF: hidden values after dropout. With ReLU they are 0 where ReLU or dropout removed them.
        intermediates: second result of `hidden`.

    Returns:
        Gradients of a and of b, `[M, F]` each; the second is None for ReLU.
    """
    a_MF, gelu_MF, b_MF = intermediates
    if a_MF is None or gelu_MF is None or b_MF is None:
        torch.ops.aten.threshold_backward.grad_input(dh_MF, h_MF, 0, grad_input=dh_MF)
        return dh_MF, None
    db_MF = dh_MF * gelu_MF
    dh_MF *= b_MF
    torch.ops.aten.gelu_backward.grad_input(dh_MF, a_MF, approximate="tanh", grad_input=dh_MF)
    return dh_MF, db_MF
