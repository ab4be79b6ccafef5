"""Differentiable all-to-all exchange of rows between ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def exchange_rows(
    rows: Tensor,
    send_counts: list[int],
    receive_counts: list[int],
    group: dist.ProcessGroup | None,
) -> Tensor:
    """Send the first `send_counts[0]` rows to rank 0, the next `send_counts[1]` to rank 1, ...

    Args:
        rows: rows to send, ordered by destination rank, float `[sum(send_counts), ...]`.
        send_counts: rows for each rank.
        receive_counts: rows from each rank.
        group: ranks that take part; None: all.

    Returns:
        The received rows, ordered by source rank, `[sum(receive_counts), ...]`. The backward pass
        sends their gradients back.
    """
    received: Tensor = _ExchangeRows.apply(  # type: ignore[no-untyped-call]
        rows, send_counts, receive_counts, group
    )
    return received


class _ExchangeRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        send_counts: list[int],
        receive_counts: list[int],
        group: dist.ProcessGroup | None,
    ) -> Tensor:
        ctx.send_counts, ctx.receive_counts, ctx.group = send_counts, receive_counts, group
        return _all_to_all(rows, send_counts, receive_counts, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        returned = _all_to_all(gradient, ctx.receive_counts, ctx.send_counts, ctx.group)
        return returned, None, None, None


def _all_to_all(
    rows: Tensor,
    send_counts: list[int],
    receive_counts: list[int],
    group: dist.ProcessGroup | None,
) -> Tensor:
    output = rows.new_empty(sum(receive_counts), *rows.shape[1:])
    dist.all_to_all_single(output, rows.contiguous(), receive_counts, send_counts, group=group)
    return output
