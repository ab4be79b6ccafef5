"""Rank, world size and collectives of the processes that train together (torchrun starts them)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from models.errors import ProcessLost

AnyValue = TypeVar("AnyValue")
_COLLECTIVE_FAILURES = (
    "timed out",
    "timeout",
    "connection closed",
    "connection reset",
    "socket",
    "broken pipe",
)


@dataclass(frozen=True)
class DistributedContext:
    """Rank, world size and collectives; with a world size of 1 every method is local."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: Store | None = None
    """Key-value store with the heartbeat of each rank."""
    timeout_s: float = 600.0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all ranks.

        Args:
            values: any shape and dtype; unchanged.

        Returns:
            The sum, detached, the same on every rank.
        """
        total = values.detach().clone()
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def gather(self, value: AnyValue) -> list[AnyValue]:
        """Return the values of all ranks, by rank, on every rank.

        Args:
            value: this rank's value; can be pickled.
        """
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: AnyValue) -> AnyValue:
        """Return the value of rank 0 on every rank.

        Args:
            value: can be pickled; only that of rank 0 counts.
        """
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        if self.world_size > 1:
            dist.barrier()

    def heartbeat(self, step: int) -> None:
        """Record that this rank has reached `step`."""
        if self.store is not None:
            self.store.set(f"heartbeat/{self.rank}", f"{step} {time.time()}")

    @contextmanager
    def translate_collective_errors(self) -> Iterator[None]:
        """Raise ProcessLost, naming the late ranks, when a collective fails.

        Raises:
            ProcessLost: in place of a RuntimeError about a timeout or a lost connection.
        """
        try:
            yield
        except RuntimeError as error:
            if self.store is None or not _is_collective_failure(str(error)):
                raise
            raise ProcessLost(self._describe_late_ranks(str(error))) from error

    def _describe_late_ranks(self, reason: str) -> str:
        now, heartbeats = time.time(), {}
        assert self.store is not None
        try:
            for rank in range(self.world_size):
                step, time_s = self.store.get(f"heartbeat/{rank}").decode().split()
                heartbeats[rank] = (int(step), now - float(time_s))
        except RuntimeError:  # the store is gone too: the machine that served it is lost
            return f"rank {self.rank}: lost connection to the other ranks: {_first_line(reason)}"
        furthest = max(step for step, _ in heartbeats.values())
        behind = [rank for rank, (step, _) in heartbeats.items() if step < furthest]
        if not behind:  # at equal steps, the rank with the oldest heartbeat is the one that stopped
            others = [rank for rank in heartbeats if rank != self.rank]
            behind = [max(others, key=lambda rank: heartbeats[rank][1])]
        late = ", ".join(
            f"rank {rank} (last heartbeat: step {heartbeats[rank][0]}, "
            f"{heartbeats[rank][1]:.0f} s ago)"
            for rank in behind
        )
        return (
            f"rank {self.rank}: timed out at step {heartbeats[self.rank][0]} waiting for {late}: "
            f"{_first_line(reason)}"
        )


def _is_collective_failure(text: str) -> bool:
    return any(phrase in text.lower() for phrase in _COLLECTIVE_FAILURES)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:200]


@contextmanager
def init_distributed(timeout_s: float = 600.0) -> Iterator[DistributedContext]:
    """Join the process group that torchrun describes in the environment.

    Without torchrun the world size is 1. With CUDA, each rank uses the GPU of its LOCAL_RANK.

    Args:
        timeout_s: seconds after which a collective fails.

    Yields:
        The context; the process group is destroyed on exit.
    """
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield DistributedContext(device=device)
        return
    timeout = timedelta(seconds=timeout_s)
    store, rank, world_size = next(rendezvous("env://", timeout=timeout))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore("group", store),
        rank=rank,
        world_size=world_size,
        timeout=timeout,
    )
    try:
        heartbeats = PrefixStore("heartbeats", store)
        yield DistributedContext(rank, world_size, device, heartbeats, timeout_s)
    finally:
        dist.destroy_process_group()
