"""Greedy decoding with cached keys and values.

Shape suffixes: B batch, R rows that have not ended, L input length, V vocabulary, N new tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architecture.t5 import T5

START, END = 0, 1


@torch.no_grad()
def greedy(
    model: T5,
    tokens_BL: Tensor,
    segments_BL: Tensor,
    *,
    max_new_tokens: int,
    vocabulary: int | None = None,
) -> Tensor:
    """The most probable token, one after the other: `[B, N]`, N at most `max_new_tokens`.

    After a row's end mark come end marks. `vocabulary`: ids from here on are never chosen.
    """
    memory = model.encode(tokens_BL, segments_BL)
    state = model.start_decoding(memory, segments_BL, max_new_tokens)
    token_R = torch.full_like(tokens_BL[:, 0], START)
    place_R = torch.arange(len(token_R), device=token_R.device)
    ended_R = torch.zeros_like(place_R, dtype=torch.bool)
    written_BN = torch.full((len(token_R), max_new_tokens), END, device=token_R.device)
    for step in range(max_new_tokens):
        logits_RV = model.step(token_R, state)
        token_R = logits_RV[:, :vocabulary].argmax(-1).masked_fill_(ended_R, END)
        written_BN[place_R, step] = token_R
        ended_R |= token_R == END
        going = torch.nonzero(~ended_R).squeeze(-1)
        if not len(going):
            return written_BN[:, : step + 1]
        # A row that has ended costs as much as any; leaving it out costs a copy of the others.
        if len(going) <= len(place_R) // 2:
            state.keep(going)
            token_R, place_R, ended_R = token_R[going], place_R[going], ended_R[going]
    return written_BN
