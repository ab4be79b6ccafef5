"""Experts on the rows they were given: gather, two matrix products an expert, weighted scatter.

y_t = sum over the assignments a of token t of weight_a * expert_a(x_t)

Two implementations of the same sum. On a CPU a loop over the experts that have rows, inside one
autograd function: nothing is padded to a capacity, an expert's hidden rows stay in the cache
between its two products, and gradients are written once, into their place in the stacked tensor. On
a GPU one grouped product for all experts, as a loop would launch too many small kernels.

Shape suffixes: T tokens, A assignments sorted by expert, E experts, D d_model, F d_ff, R rows of
one expert, P the same rounded up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.architecture.activation import activation, hidden, hidden_gradient
from models.architecture.matmul import mm


def looped(
    x_TD: Tensor,
    token_A: Tensor,
    rows: list[int],
    weight_A: Tensor | None,
    wi_EDF: Tensor,
    wg_EDF: Tensor | None,
    wo_EFD: Tensor,
    *,
    dropout: float,
    dtype: torch.dtype,
) -> Tensor:
    """`rows`: assignments of each expert. `weight_A=None`: weight 1. Products in `dtype`."""
    y_TD: Tensor = _Looped.apply(  # type: ignore[no-untyped-call]
        x_TD, token_A, rows, weight_A, wi_EDF, wg_EDF, wo_EFD, dropout, dtype
    )
    return y_TD


def grouped(
    x_TD: Tensor,
    token_A: Tensor,
    rows_E: Tensor,
    weight_A: Tensor | None,
    wi_EDF: Tensor,
    wg_EDF: Tensor | None,
    wo_EFD: Tensor,
    *,
    dropout: float,
    dtype: torch.dtype,
) -> Tensor:
    """The same through `torch.nn.functional.grouped_mm`, without waiting for the counts."""
    ends_E = rows_E.cumsum(0).to(torch.int32)
    with torch.autocast(x_TD.device.type, enabled=False):
        x_AD = x_TD[token_A].to(dtype)
        a_AF = F.grouped_mm(x_AD, wi_EDF.to(dtype), offs=ends_E)
        b_AF = None if wg_EDF is None else F.grouped_mm(x_AD, wg_EDF.to(dtype), offs=ends_E)
        h_AF = F.dropout(activation(a_AF, b_AF), dropout, training=dropout > 0)
        y_AD = F.grouped_mm(h_AF, wo_EFD.to(dtype), offs=ends_E)
        if weight_A is not None:
            y_AD = y_AD * weight_A.to(dtype).unsqueeze(-1)
        return torch.zeros_like(x_TD, dtype=dtype).index_add(0, token_A, y_AD)


class _Looped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_TD: Tensor,
        token_A: Tensor,
        rows: list[int],
        weight_A: Tensor | None,
        wi_EDF: Tensor,
        wg_EDF: Tensor | None,
        wo_EFD: Tensor,
        dropout: float,
        dtype: torch.dtype,
    ) -> Tensor:
        y_TD = torch.zeros_like(x_TD, dtype=dtype)
        training = any(ctx.needs_input_grad)
        # Per expert that has rows: what the backward pass needs again.
        kept: list[Tensor | None] = []
        with torch.autocast(x_TD.device.type, enabled=False):
            for expert, place in _places(rows):
                token_R = token_A[place]
                x_PD = _gather(x_TD, token_R, dtype)
                wg_DF = None if wg_EDF is None else wg_EDF[expert].to(dtype)
                h_PF, before = hidden(x_PD, wi_EDF[expert].to(dtype), wg_DF)
                mask_PF = None
                if dropout:
                    h_PF, mask_PF = torch.native_dropout(h_PF, dropout, True)
                y_RD = mm(h_PF, wo_EFD[expert].to(dtype))[: len(token_R)]
                if training:
                    kept += [x_PD, h_PF, mask_PF, y_RD, *before]
                    y_RD = y_RD if weight_A is None else y_RD * _column(weight_A, place, dtype)
                elif weight_A is not None:
                    y_RD *= _column(weight_A, place, dtype)
                y_TD.index_add_(0, token_R, y_RD)
        ctx.rows, ctx.dropout, ctx.dtype = rows, dropout, dtype
        ctx.save_for_backward(x_TD, token_A, weight_A, wi_EDF, wg_EDF, wo_EFD, *kept)
        return y_TD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_TD: Tensor) -> tuple[Tensor | None, ...]:
        x_TD, token_A, weight_A, wi_EDF, wg_EDF, wo_EFD, *kept = ctx.saved_tensors
        dtype, rows = ctx.dtype, ctx.rows
        dx_TD = torch.zeros_like(x_TD)
        dweight_A = None if weight_A is None else torch.empty_like(weight_A)
        # Frozen weights get no gradient.
        dwi_EDF, dwg_EDF, dwo_EFD = (
            torch.empty_like(w) if needed else None
            for w, needed in zip((wi_EDF, wg_EDF, wo_EFD), ctx.needs_input_grad[4:7], strict=True)
        )
        for expert, count in enumerate(rows):
            for gradient in (dwi_EDF, dwg_EDF, dwo_EFD):
                if count == 0 and gradient is not None:
                    gradient[expert].zero_()
        for i, (expert, place) in enumerate(_places(rows)):
            x_PD, h_PF, mask_PF, y_RD, *before = kept[7 * i : 7 * i + 7]
            token_R = token_A[place]
            dy_PD = _gather(dy_TD, token_R, dtype)
            if weight_A is not None and dweight_A is not None:
                dy_RD = dy_PD[: len(token_R)]
                dweight_A[place] = torch.linalg.vecdot(dy_RD, y_RD).to(dweight_A.dtype)
                dy_RD *= _column(weight_A, place, dtype)
            _set_product(dwo_EFD, expert, h_PF, dy_PD)
            dh_PF = mm(dy_PD, wo_EFD[expert].to(dtype).t())
            if mask_PF is not None:
                dh_PF *= mask_PF
                dh_PF *= 1 / (1 - ctx.dropout)
            da_PF, db_PF = hidden_gradient(dh_PF, h_PF, tuple(before))
            dx_PD = mm(da_PF, wi_EDF[expert].to(dtype).t())
            _set_product(dwi_EDF, expert, x_PD, da_PF)
            if db_PF is not None:
                dx_PD += mm(db_PF, wg_EDF[expert].to(dtype).t())
                _set_product(dwg_EDF, expert, x_PD, db_PF)
            dx_TD.index_add_(0, token_R, dx_PD[: len(token_R)].to(dx_TD.dtype))
        return dx_TD, None, None, dweight_A, dwi_EDF, dwg_EDF, dwo_EFD, None, None


def _places(rows: list[int]) -> list[tuple[int, slice]]:
    """(expert, its part of the assignments) for the experts that have rows."""
    places, start = [], 0
    for expert, count in enumerate(rows):
        if count:
            places.append((expert, slice(start, start + count)))
        start += count
    return places


def _gather(x_TD: Tensor, token_R: Tensor, dtype: torch.dtype) -> Tensor:
    """Those rows in `dtype`, then rows of zeros, which change no product: `[P, D]`.

    oneDNN compiles a kernel for every shape it meets, for about a millisecond, and keeps a thousand
    of them: loads change with every batch, so they are rounded to few different numbers of rows.
    Not in float64, which oneDNN does not do.
    """
    rows = len(token_R)
    step = 1 if rows <= 16 else 4 if rows <= 128 else 16 if rows <= 512 else 32
    padded = rows if dtype == torch.float64 else -(-rows // step) * step
    if padded == rows:
        return x_TD.index_select(0, token_R).to(dtype)
    x_PD = x_TD.new_empty(padded, x_TD.shape[1], dtype=dtype)
    x_PD[rows:] = 0
    if x_TD.dtype == dtype:
        torch.index_select(x_TD, 0, token_R, out=x_PD[:rows])
    else:
        x_PD[:rows] = x_TD.index_select(0, token_R)
    return x_PD


def _column(weight_A: Tensor, place: slice, dtype: torch.dtype) -> Tensor:
    return weight_A[place].to(dtype).unsqueeze(-1)


def _set_product(out_EMN: Tensor | None, expert: int, a_RM: Tensor, b_RN: Tensor) -> None:
    """out[expert] = a^T b; nothing where out is None.

    oneDNN copies the transposed a first: cheap where a is the narrow one. MKL does not, and is as
    fast for a wide a.
    """
    if out_EMN is None:
        return
    wide = a_RM.shape[1] > b_RN.shape[1]
    if wide and out_EMN.dtype == a_RM.dtype:
        torch.mm(a_RM.t(), b_RN, out=out_EMN[expert])
    else:
        out_EMN[expert] = mm(a_RM.t(), b_RN)
