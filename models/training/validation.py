"""Loss on rows that are not trained on."""

from __future__ import annotations

import numpy as np
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.training.batches import to_tensors
from models.training.distributed import Group
from models.training.loss import compute


@torch.no_grad()
def validation_loss(
    model: T5,
    corpus: PackedCorpus,
    rows: int,
    *,
    global_batch_size: int = 32,
    group: Group | None = None,
) -> float:
    """Mean cross-entropy in nats over the targets of the first `rows` packed rows.

    The processes of `group` share each batch. Leaves the model in evaluation mode.
    """
    group = group or Group()
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=group.device)
    rows = min(rows, len(corpus))
    for start in range(0, rows, global_batch_size):
        chosen = np.arange(start, min(start + global_batch_size, rows), dtype=np.int64)[
            group.rank :: group.world
        ]
        # All take part in each exchange of experts or weights, even those with no row left.
        batch = to_tensors(corpus, chosen if len(chosen) else np.zeros(1, np.int64), group.device)
        if not len(chosen):
            batch = {name: torch.zeros_like(tensor) for name, tensor in batch.items()}
        loss = compute(model, model, batch, group=group)
        sums += torch.stack([loss.nats, loss.tokens]).double()
    nats, tokens = group.sum(sums).tolist()
    return float(nats / max(tokens, 1.0))
