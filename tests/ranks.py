"""Gloo ranks for tests: processes forked from one that has imported torch and the models.

    python -m tests.ranks MODULE WORLD_SIZE[,WORLD_SIZE ...] [ARGUMENT ...]

calls `MODULE.main(ARGUMENTS)` on that many ranks, for one world size after another. Importing torch
and the models takes longer than most of what a test does on a rank. Tests of the launchers, in
tests/flows/fleet, start ranks with torchrun.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import wait
from pathlib import Path

from flows.runtime.ports import free_port

CONTEXT = multiprocessing.get_context("fork")


def run_on_ranks(module, world_sizes, *arguments, timeout_s=300):
    """Run `module.main(*arguments)` on gloo ranks of one thread each; return their output."""
    sizes = ",".join(map(str, world_sizes))
    done = subprocess.run(
        [sys.executable, "-m", "tests.ranks", module, sizes, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        timeout=timeout_s, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def fork_ranks(function, world_size, arguments):
    """Call the function on every rank; end all ranks and exit with 1 when one of them fails."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = []
    for rank in range(world_size):
        environment = address | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size),
        }  # fmt: skip
        ranks.append(CONTEXT.Process(target=_run_rank, args=(function, environment, arguments)))
        ranks[-1].start()
    running = {rank.sentinel: rank for rank in ranks}
    while running:
        for sentinel in wait(list(running)):
            if running.pop(sentinel).exitcode:
                for rank in running.values():
                    rank.kill()
    if any(rank.exitcode for rank in ranks):
        sys.exit(1)


def _run_rank(function, environment, arguments):
    os.environ.update(environment)
    function(*arguments)


def main():
    module, sizes, *arguments = sys.argv[1:]
    function = importlib.import_module(module).main
    for size in sizes.split(","):
        fork_ranks(function, int(size), arguments)


if __name__ == "__main__":
    main()
