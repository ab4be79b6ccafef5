"""The processes that train together: started by torchrun, joined here. One is the usual case."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from models.errors import ProcessLost


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: Store | None = None
    """Where processes leave signs of life."""
    timeout_s: float = 600.0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The values summed over all processes, on each of them."""
        total = values.detach().clone()
        if self.world > 1:
            dist.all_reduce(total)
        return total

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()

    def sign(self, step: int) -> None:
        """Tell the others that this process has come to `step`."""
        if self.store is not None:
            self.store.set(f"sign/{self.rank}", f"{step} {time.time()}")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raises ProcessLost, naming who is late, where the others could not be reached."""
        try:
            yield
        except RuntimeError as error:
            if self.store is None or not _is_loss(str(error)):
                raise
            raise ProcessLost(self._late(str(error))) from error

    def _late(self, reason: str) -> str:
        now, signs = time.time(), {}
        assert self.store is not None
        try:
            for rank in range(self.world):
                step, at = self.store.get(f"sign/{rank}").decode().split()
                signs[rank] = (int(step), now - float(at))
        except RuntimeError:  # the store is gone too: the machine that held it
            return f"process {self.rank} lost the others: {_first_line(reason)}"
        furthest = max(step for step, _ in signs.values())
        behind = [rank for rank, (step, _) in signs.items() if step < furthest]
        # Where all are at one step, whoever gave its sign first has waited for the others since.
        late = behind or [max((r for r in signs if r != self.rank), key=lambda r: signs[r][1])]
        told = ", ".join(
            f"process {rank} (last seen at step {signs[rank][0]}, {signs[rank][1]:.0f} s ago)"
            for rank in late
        )
        return (
            f"process {self.rank} waited in vain at step {signs[self.rank][0]} for {told}: "
            f"{_first_line(reason)}"
        )


def _is_loss(text: str) -> bool:
    told = (
        "timed out",
        "timeout",
        "connection closed",
        "connection reset",
        "socket",
        "broken pipe",
    )
    return any(word in text.lower() for word in told)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:200]


@contextmanager
def join(timeout_s: float = 600.0) -> Iterator[Group]:
    """The group torchrun started, or a group of one. On a GPU each process takes its own."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Group(device=device)
        return
    timeout = timedelta(seconds=timeout_s)
    store, rank, world = next(rendezvous("env://", timeout=timeout))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore("group", store),
        rank=rank,
        world_size=world,
        timeout=timeout,
    )
    try:
        yield Group(rank, world, device, PrefixStore("signs", store), timeout_s)
    finally:
        dist.destroy_process_group()
