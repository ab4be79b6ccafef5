"""Matrix products: through oneDNN in float32 on a CPU, through torch elsewhere.

In float32 torch multiplies through MKL, which is slower than oneDNN for the shapes of a T5
(docs/decisions/onednn_on_cpu.md). In bfloat16 torch uses oneDNN itself.

Shape suffixes: M rows, K inner dimension, N columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_prepacked: ContextVar[dict[int, Tensor] | None] = ContextVar("prepacked", default=None)


def prepack_weights(weights: Iterable[Tensor], rows: int) -> dict[int, Tensor]:
    """Copy weights into the layout that oneDNN uses for products with few rows.

    Without such a copy oneDNN converts a weight in every product.

    Args:
        weights: matrices `[N, K]`.
        rows: rows of the matrices they will be multiplied by.

    Returns:
        id of a weight -> its copy; empty if oneDNN is not used.
    """
    return {
        id(weight): torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
        for weight in weights
        if uses_onednn(weight, weight)
    }


@contextmanager
def use_prepacked(prepacked: dict[int, Tensor]) -> Iterator[None]:
    """Make `linear` use prepacked weights inside the context, where gradients are disabled.

    Args:
        prepacked: result of `prepack_weights`; later changes of the weights have no effect on it.
    """
    token = _prepacked.set(prepacked)
    try:
        yield
    finally:
        _prepacked.reset(token)


def mm(a_MK: Tensor, b_KN: Tensor, *, relu: bool = False) -> Tensor:
    """Multiply two matrices without recording gradients; for use in autograd functions.

    Args:
        a_MK: float `[M, K]`.
        b_KN: float `[K, N]`.
        relu: apply ReLU, fused into the product where oneDNN is used.

    Returns:
        `[M, N]`.
    """
    if _supports_onednn(a_MK) and a_MK.numel() and b_KN.numel():
        return _onednn_linear(a_MK, b_KN.t(), relu)
    product: Tensor = a_MK @ b_KN
    return product.relu_() if relu else product


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """Compute `x @ weight.T`, like `torch.nn.functional.linear`.

    Args:
        x: float `[..., K]`.
        weight: `[N, K]`.

    Returns:
        `[..., N]`.
    """
    if uses_onednn(x, weight):
        if not torch.is_grad_enabled():
            copy = (_prepacked.get() or {}).get(id(weight))
            return _product(x, weight) if copy is None else _onednn_linear(x, copy, relu=False)
        y: Tensor = _Linear.apply(x, weight)  # type: ignore[no-untyped-call]
        return y
    return F.linear(x, weight)


def uses_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether `linear` multiplies `x` and `weight` through oneDNN.

    Args:
        x: left operand.
        weight: right operand.
    """
    is_supported = _is_plain(weight) and weight.dtype == x.dtype and _supports_onednn(x)
    return is_supported and not torch.is_autocast_enabled("cpu")


def on_plain_cpu(x: Tensor, weight: Tensor) -> bool:
    """Return whether an autograd function can multiply `x` and `weight` with `mm` on a CPU.

    Args:
        x: left operand.
        weight: right operand.
    """
    if torch.is_autocast_enabled("cpu"):
        return x.device.type == "cpu" and _is_plain(weight)
    return uses_onednn(x, weight)


def _is_plain(weight: Tensor) -> bool:
    """Return whether this is a plain tensor: no DTensor or other subclass."""
    return type(weight) in (Tensor, torch.nn.Parameter)


def _supports_onednn(x: Tensor) -> bool:
    return (
        x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    )


def _onednn_linear(x: Tensor, weight: Tensor, relu: bool) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(
        x, weight, None, "relu" if relu else "none", [], ""
    )
    return y


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return mm(x.reshape(-1, x.shape[-1]), weight.t()).view(*x.shape[:-1], weight.shape[0])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy_MN, x_MK = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
        dx = mm(dy_MN, weight).view_as(x) if ctx.needs_input_grad[0] else None
        # oneDNN would copy the transposed dy first; MKL reads it in place.
        dw = dy_MN.t() @ x_MK if ctx.needs_input_grad[1] else None
        return dx, dw
