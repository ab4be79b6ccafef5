"""Heartbeats, and the error that names late ranks."""

import time

import pytest
import torch
from torch.distributed import HashStore

from models.errors import ProcessLost
from models.training.distributed import DistributedContext, init_distributed


def contexts(world_size):
    store = HashStore()
    return [DistributedContext(rank, world_size, store=store) for rank in range(world_size)]


def raise_timeout():
    raise RuntimeError("Timed out waiting 60000ms for recv operation\nstack trace")


def test_translate_collective_errors_names_the_rank_that_is_behind():
    first, second, third = contexts(3)
    second.heartbeat(6)
    time.sleep(0.01)
    first.heartbeat(7)
    third.heartbeat(7)
    message = (
        r"^rank 0: timed out at step 7 waiting for rank 1 \(last heartbeat: step 6, 0 s ago\): "
        r"Timed out waiting 60000ms for recv operation$"
    )
    with pytest.raises(ProcessLost, match=message), first.translate_collective_errors():
        raise_timeout()


def test_translate_collective_errors_equal_steps_names_the_oldest_heartbeat():
    first, second, third = contexts(3)
    for context in (third, second, first):
        context.heartbeat(4)
        time.sleep(0.01)
    message = r"rank 0: timed out at step 4 waiting for rank 2 \(last heartbeat: step 4"
    with pytest.raises(ProcessLost, match=message), first.translate_collective_errors():
        raise_timeout()


def test_translate_collective_errors_other_error_is_unchanged():
    (context, _) = contexts(2)
    with pytest.raises(RuntimeError, match="shapes"), context.translate_collective_errors():
        raise RuntimeError("shapes do not match")


def test_init_distributed_without_torchrun_is_a_single_rank(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with init_distributed() as dist:
        assert (dist.rank, dist.world_size, dist.is_main) == (0, 1, True)
        assert dist.all_reduce_sum(torch.tensor([2.0])).tolist() == [2.0]
        dist.barrier()
        dist.heartbeat(1)
