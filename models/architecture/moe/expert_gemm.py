"""Expert computation: gather rows, apply each expert, scatter-add the weighted outputs.

y_t = sum over the assignments a of token t of weight_a * expert_a(x_t)

Two implementations of the same sum:
- `experts_loop`, on a CPU: a loop over the experts that have rows, in one autograd function.
  Nothing is padded to a capacity, the hidden rows of an expert stay in the cache between its
  products, and gradients are written directly into the stacked tensor.
- `experts_grouped_mm`, on a GPU: one grouped GEMM over all experts, because a loop would launch too
  many small kernels.

Shape suffixes: T tokens, A assignments sorted by expert, E experts, D d_model, F d_ff, R rows of
one expert, P R rounded up (`_gather`), M and N columns of two factors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.architecture.activation import activation, hidden, hidden_gradient
from models.architecture.matmul import mm


def experts_loop(
    x_TD: Tensor,
    token_A: Tensor,
    tokens_per_expert: list[int],
    weight_A: Tensor | None,
    wi_EDF: Tensor,
    wg_EDF: Tensor | None,
    wo_EFD: Tensor,
    *,
    dropout: float,
    dtype: torch.dtype,
) -> Tensor:
    """Compute the experts one after the other.

    Args:
        x_TD: tokens, float `[T, D]`.
        token_A: token of each assignment, int64 `[A]`, sorted by expert.
        tokens_per_expert: assignments of each expert.
        weight_A: weight of each assignment, float `[A]`; None: 1.
        wi_EDF: input projections.
        wg_EDF: gate projections; None: ReLU without a gate.
        wo_EFD: output projections.
        dropout: probability with which a hidden value is dropped.
        dtype: dtype of the products and of the result.

    Returns:
        `[T, D]`.
    """
    y_TD: Tensor = _ExpertsLoop.apply(  # type: ignore[no-untyped-call]
        x_TD, token_A, tokens_per_expert, weight_A, wi_EDF, wg_EDF, wo_EFD, dropout, dtype
    )
    return y_TD


def experts_grouped_mm(
    x_TD: Tensor,
    token_A: Tensor,
    tokens_per_expert_E: Tensor,
    weight_A: Tensor | None,
    wi_EDF: Tensor,
    wg_EDF: Tensor | None,
    wo_EFD: Tensor,
    *,
    dropout: float,
    dtype: torch.dtype,
) -> Tensor:
    """Compute all experts with `torch.nn.functional.grouped_mm`, without a host synchronization.

    Args:
        x_TD: tokens, float `[T, D]`.
        token_A: token of each assignment, int64 `[A]`, sorted by expert.
        tokens_per_expert_E: assignments of each expert, int64 `[E]`.
        weight_A: weight of each assignment, float `[A]`; None: 1.
        wi_EDF: input projections.
        wg_EDF: gate projections; None: ReLU without a gate.
        wo_EFD: output projections.
        dropout: probability with which a hidden value is dropped.
        dtype: dtype of the products and of the result.

    Returns:
        `[T, D]`.
    """
    ends_E = tokens_per_expert_E.cumsum(0).to(torch.int32)
    with torch.autocast(x_TD.device.type, enabled=False):
        x_AD = x_TD[token_A].to(dtype)
        a_AF = F.grouped_mm(x_AD, wi_EDF.to(dtype), offs=ends_E)
        b_AF = None if wg_EDF is None else F.grouped_mm(x_AD, wg_EDF.to(dtype), offs=ends_E)
        h_AF = F.dropout(activation(a_AF, b_AF), dropout, training=dropout > 0)
        y_AD = F.grouped_mm(h_AF, wo_EFD.to(dtype), offs=ends_E)
        if weight_A is not None:
            y_AD = y_AD * weight_A.to(dtype).unsqueeze(-1)
        return torch.zeros_like(x_TD, dtype=dtype).index_add(0, token_A, y_AD)


class _ExpertsLoop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_TD: Tensor,
        token_A: Tensor,
        tokens_per_expert: list[int],
        weight_A: Tensor | None,
        wi_EDF: Tensor,
        wg_EDF: Tensor | None,
        wo_EFD: Tensor,
        dropout: float,
        dtype: torch.dtype,
    ) -> Tensor:
        y_TD = torch.zeros_like(x_TD, dtype=dtype)
        needs_backward = any(ctx.needs_input_grad)
        # Seven tensors per expert that has rows, for the backward pass.
        saved: list[Tensor | None] = []
        with torch.autocast(x_TD.device.type, enabled=False):
            for expert, assignments in _assignment_slices(tokens_per_expert):
                token_R = token_A[assignments]
                x_PD = _gather(x_TD, token_R, dtype)
                wg_DF = None if wg_EDF is None else wg_EDF[expert].to(dtype)
                h_PF, intermediates = hidden(x_PD, wi_EDF[expert].to(dtype), wg_DF)
                mask_PF = None
                if dropout:
                    h_PF, mask_PF = torch.native_dropout(h_PF, dropout, True)
                y_RD = mm(h_PF, wo_EFD[expert].to(dtype))[: len(token_R)]
                if needs_backward:
                    saved += [x_PD, h_PF, mask_PF, y_RD, *intermediates]
                    if weight_A is not None:
                        y_RD = y_RD * _column(weight_A, assignments, dtype)
                elif weight_A is not None:
                    y_RD *= _column(weight_A, assignments, dtype)
                y_TD.index_add_(0, token_R, y_RD)
        ctx.tokens_per_expert, ctx.dropout, ctx.dtype = tokens_per_expert, dropout, dtype
        ctx.save_for_backward(x_TD, token_A, weight_A, wi_EDF, wg_EDF, wo_EFD, *saved)
        return y_TD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_TD: Tensor) -> tuple[Tensor | None, ...]:
        x_TD, token_A, weight_A, wi_EDF, wg_EDF, wo_EFD, *saved = ctx.saved_tensors
        dtype, tokens_per_expert = ctx.dtype, ctx.tokens_per_expert
        needs_x, needs_wi, needs_wg = (ctx.needs_input_grad[i] for i in (0, 4, 5))
        dx_TD = torch.zeros_like(x_TD) if needs_x else None
        dweight_A = None if weight_A is None else torch.empty_like(weight_A)
        # Frozen weights get no gradient.
        dwi_EDF, dwg_EDF, dwo_EFD = (
            torch.empty_like(w) if needs_grad else None
            for w, needs_grad in zip(
                (wi_EDF, wg_EDF, wo_EFD), ctx.needs_input_grad[4:7], strict=True
            )
        )
        for expert, count in enumerate(tokens_per_expert):
            for gradient in (dwi_EDF, dwg_EDF, dwo_EFD):
                if count == 0 and gradient is not None:
                    gradient[expert].zero_()
        for i, (expert, assignments) in enumerate(_assignment_slices(tokens_per_expert)):
            x_PD, h_PF, mask_PF, y_RD, *intermediates = saved[7 * i : 7 * i + 7]
            token_R = token_A[assignments]
            dy_PD = _gather(dy_TD, token_R, dtype)
            if weight_A is not None and dweight_A is not None:
                dy_RD = dy_PD[: len(token_R)]
                dweight_A[assignments] = torch.linalg.vecdot(dy_RD, y_RD).to(dweight_A.dtype)
                dy_RD *= _column(weight_A, assignments, dtype)
            _set_product(dwo_EFD, expert, h_PF, dy_PD)
            # Behind a frozen part only the products that lead to a trained weight are computed.
            if not (needs_x or needs_wi or needs_wg):
                continue
            dh_PF = mm(dy_PD, wo_EFD[expert].to(dtype).t())
            if mask_PF is not None:
                dh_PF *= mask_PF
                dh_PF *= 1 / (1 - ctx.dropout)
            da_PF, db_PF = hidden_gradient(dh_PF, h_PF, tuple(intermediates))
            _set_product(dwi_EDF, expert, x_PD, da_PF)
            if db_PF is not None:
                _set_product(dwg_EDF, expert, x_PD, db_PF)
            if dx_TD is not None:
                dx_PD = mm(da_PF, wi_EDF[expert].to(dtype).t())
                if db_PF is not None:
                    dx_PD += mm(db_PF, wg_EDF[expert].to(dtype).t())
                dx_TD.index_add_(0, token_R, dx_PD[: len(token_R)].to(dx_TD.dtype))
        return dx_TD, None, None, dweight_A, dwi_EDF, dwg_EDF, dwo_EFD, None, None


def _assignment_slices(tokens_per_expert: list[int]) -> list[tuple[int, slice]]:
    """Return (expert, slice of its assignments) for the experts that have rows."""
    slices, start = [], 0
    for expert, count in enumerate(tokens_per_expert):
        if count:
            slices.append((expert, slice(start, start + count)))
        start += count
    return slices


def _gather(x_TD: Tensor, token_R: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the rows of the tokens in `dtype`, padded with rows of zeros: `[P, D]`.

    oneDNN compiles and caches a kernel for every shape, and expert loads change with every batch,
    so the number of rows is rounded up to few values. The zeros change no product. float64 is not
    padded because oneDNN does not support it.
    """
    rows = len(token_R)
    step = 1 if rows <= 16 else 4 if rows <= 128 else 16 if rows <= 512 else 32
    padded_rows = rows if dtype == torch.float64 else -(-rows // step) * step
    if padded_rows == rows:
        return x_TD.index_select(0, token_R).to(dtype)
    x_PD = x_TD.new_empty(padded_rows, x_TD.shape[1], dtype=dtype)
    x_PD[rows:] = 0
    if x_TD.dtype == dtype:
        torch.index_select(x_TD, 0, token_R, out=x_PD[:rows])
    else:
        x_PD[:rows] = x_TD.index_select(0, token_R)
    return x_PD


def _column(weight_A: Tensor, assignments: slice, dtype: torch.dtype) -> Tensor:
    return weight_A[assignments].to(dtype).unsqueeze(-1)


def _set_product(out_EMN: Tensor | None, expert: int, a_RM: Tensor, b_RN: Tensor) -> None:
    """Write a^T b to out[expert]; do nothing if out is None.

    oneDNN copies the transposed matrix first, which is cheap only if a is the narrower one; MKL
    reads it in place.
    """
    if out_EMN is None:
        return
    is_wide = a_RM.shape[1] > b_RN.shape[1]
    if is_wide and out_EMN.dtype == a_RM.dtype:
        torch.mm(a_RM.t(), b_RN, out=out_EMN[expert])
    else:
        out_EMN[expert] = mm(a_RM.t(), b_RN)
