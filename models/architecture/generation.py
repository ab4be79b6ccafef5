"""Greedy decoding with cached keys and values.

Shape suffixes: B batch, R unfinished rows, L input length, V vocabulary, N new tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.t5 import T5

START_ID, END_ID = 0, 1
"""Decoder start token (padding, as in T5) and end-of-sequence token."""


@torch.no_grad()
def greedy_decode(
    model: T5,
    tokens_BL: Tensor,
    segments_BL: Tensor,
    *,
    max_new_tokens: int,
    vocabulary: int | None = None,
) -> Tensor:
    """Generate the most probable token of each row, step by step.

    Decoding stops when every row has generated END_ID, or after `max_new_tokens` steps.

    Args:
        model: model in evaluation mode.
        tokens_BL: input token ids, int64 `[B, L]`.
        segments_BL: 1 for input tokens, 0 for padding, int64 `[B, L]`.
        max_new_tokens: maximum number of decoding steps.
        vocabulary: only ids below this value are generated; None: all ids.

    Returns:
        Token ids, int64 `[B, N]`, filled with END_ID after the end of a row.
    """
    memory = model.encode(tokens_BL, segments_BL)
    state = model.start_decoding(memory, segments_BL, max_new_tokens)
    token_R = torch.full_like(tokens_BL[:, 0], START_ID)
    row_R = torch.arange(len(token_R), device=token_R.device)
    is_ended_R = torch.zeros_like(row_R, dtype=torch.bool)
    output_BN = torch.full((len(token_R), max_new_tokens), END_ID, device=token_R.device)
    for step in range(max_new_tokens):
        logits_RV = model.decode_step(token_R, state)
        token_R = logits_RV[:, :vocabulary].argmax(-1).masked_fill_(is_ended_R, END_ID)
        output_BN[row_R, step] = token_R
        is_ended_R |= token_R == END_ID
        active = torch.nonzero(~is_ended_R).squeeze(-1)
        if not len(active):
            return output_BN[:, : step + 1]
        # An ended row costs as much as any other; removing it costs a copy of the others.
        if len(active) <= len(row_R) // 2:
            state.select_rows(active)
            token_R, row_R, is_ended_R = token_R[active], row_R[active], is_ended_R[active]
    return output_BN
