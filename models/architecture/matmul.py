"""Matrix products on a CPU: oneDNN's where it is the faster library, torch's own elsewhere.

In float32 torch multiplies through MKL, which on the shapes of a T5 was 5 to 15 % slower than
oneDNN, and half as fast on an expert's few rows (2 cores of an AMD EPYC with AVX-512). In bfloat16
torch uses oneDNN by itself.
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

_packed: ContextVar[dict[int, Tensor] | None] = ContextVar("packed", default=None)


def pack(weights: Iterable[Tensor], rows: int) -> dict[int, Tensor]:
    """Copies in the layout in which oneDNN multiplies them by few `rows`, twice as fast.

    Otherwise it brings a weight into that layout in every product. Empty where oneDNN is not used.
    """
    return {
        id(weight): torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
        for weight in weights
        if uses_one_dnn(weight, weight)
    }


@contextmanager
def using(packed: dict[int, Tensor]) -> Iterator[None]:
    """`linear` takes these copies, made by `pack`, while no gradient is wanted."""
    token = _packed.set(packed)
    try:
        yield
    finally:
        _packed.reset(token)


def mm(a_MK: Tensor, b_KN: Tensor, *, relu: bool = False) -> Tensor:
    """The product of two matrices, through ReLU where asked, which then costs nothing.

    No gradient: for the inside of autograd functions.
    """
    if _one_dnn(a_MK) and a_MK.numel() and b_KN.numel():
        return _one_dnn_linear(a_MK, b_KN.t(), relu)
    product: Tensor = a_MK @ b_KN
    return product.relu_() if relu else product


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """`x @ weight.T` over the last dimension of x, like `torch.nn.functional.linear`."""
    if uses_one_dnn(x, weight):
        if not torch.is_grad_enabled():
            copy = (_packed.get() or {}).get(id(weight))
            return _product(x, weight) if copy is None else _one_dnn_linear(x, copy, relu=False)
        y: Tensor = _Linear.apply(x, weight)  # type: ignore[no-untyped-call]
        return y
    return F.linear(x, weight)


def uses_one_dnn(x: Tensor, weight: Tensor) -> bool:
    """Whether products of the two are better not left to torch."""
    fits = _plain(weight) and weight.dtype == x.dtype
    return fits and _one_dnn(x) and not torch.is_autocast_enabled("cpu")


def on_plain_cpu(x: Tensor, weight: Tensor) -> bool:
    """Whether an autograd function of ours may multiply the two: in float32, or under autocast."""
    if torch.is_autocast_enabled("cpu"):
        return x.device.type == "cpu" and _plain(weight)
    return uses_one_dnn(x, weight)


def _plain(weight: Tensor) -> bool:
    """No sharded or otherwise special tensor."""
    return type(weight) in (Tensor, torch.nn.Parameter)


def _one_dnn(x: Tensor) -> bool:
    return (
        x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    )


def _one_dnn_linear(x: Tensor, weight: Tensor, relu: bool) -> Tensor:
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
        # oneDNN would first copy the transposed dy; MKL reads it as it is.
        dw = dy_MN.t() @ x_MK if ctx.needs_input_grad[1] else None
        return dx, dw
