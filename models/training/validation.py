"""Validation loss: cross-entropy on packed rows that are not trained on."""

from __future__ import annotations

import numpy as np
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.training.batches import to_tensors
from models.training.distributed import DistributedContext
from models.training.loss import compute_loss


@torch.no_grad()
def validation_loss(
    model: T5,
    corpus: PackedCorpus,
    num_rows: int,
    *,
    global_batch_size: int = 32,
    dist: DistributedContext | None = None,
) -> float:
    """Compute the mean cross-entropy over the targets of the first rows of a corpus.

    Leaves the model in evaluation mode. The ranks share each batch.

    Args:
        model: model to evaluate.
        corpus: validation corpus.
        num_rows: packed rows to use, at most.
        global_batch_size: rows of a forward pass, over all ranks.
        dist: ranks that share the work; this process alone by default.

    Returns:
        Nats per target token, the same on every rank.
    """
    dist = dist or DistributedContext()
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=dist.device)
    num_rows = min(num_rows, len(corpus))
    for start in range(0, num_rows, global_batch_size):
        rows = np.arange(start, min(start + global_batch_size, num_rows), dtype=np.int64)
        own_rows = rows[dist.rank :: dist.world_size]
        # A rank without rows still takes part in the collectives of experts and weights.
        batch = to_tensors(
            corpus, own_rows if len(own_rows) else np.zeros(1, np.int64), dist.device
        )
        if not len(own_rows):
            batch = {name: torch.zeros_like(tensor) for name, tensor in batch.items()}
        loss = compute_loss(model, model, batch, dist=dist)
        sums += torch.stack([loss.cross_entropy_sum, loss.num_targets]).double()
    cross_entropy_sum, num_targets = dist.all_reduce_sum(sums).tolist()
    return float(cross_entropy_sum / max(num_targets, 1.0))
