"""Greedy decoding with cached keys and values.

Shape suffixes: B batch, L input length, V vocabulary, N new tokens.
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
    token_B = torch.full_like(tokens_BL[:, 0], START)
    ended_B = torch.zeros_like(token_B, dtype=torch.bool)
    written: list[Tensor] = []
    for _ in range(max_new_tokens):
        logits_BV = model.step(token_B, state)
        token_B = logits_BV[:, :vocabulary].argmax(-1).masked_fill_(ended_B, END)
        ended_B |= token_B == END
        written.append(token_B)
        if bool(ended_B.all()):
            break
    return torch.stack(written, 1)
