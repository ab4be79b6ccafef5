"""Measure the bytes per second that one of two gloo ranks sends; torchrun starts it."""

from __future__ import annotations

import statistics
import time

import torch
import torch.distributed as dist

NUM_FLOATS = 2 * 2**20
TURNS = 12


def main() -> None:
    """Time all-to-all exchanges and print the median rate on rank 0."""
    dist.init_process_group("gloo")
    sent = torch.ones(NUM_FLOATS)
    seconds = []
    for _ in range(TURNS):
        received = torch.empty_like(sent)
        start = time.perf_counter()
        dist.all_to_all_single(received, sent)
        seconds.append(time.perf_counter() - start)
    if dist.get_rank() == 0:
        print(sent.numel() * 4 / dist.get_world_size() / statistics.median_high(seconds))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
