"""Run benchmarks with --quick, each in a process forked from one that has imported torch.

    python -m tests.benchmarks.run_quick FOLDER NAME [NAME ...]

Writes FOLDER/NAME.json, the figures, and FOLDER/NAME.log, the output. Exits with the number of
benchmarks that failed.
"""

import multiprocessing
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path

SHARED_IMPORTS = ("benchmarks.training", "benchmarks.evaluation", "registry.store", "scipy.stats")
"""Modules that import torch, transformers, the trainer, the harness and the registry."""


def run_as_main(name, folder):
    """Do what `python -m benchmarks.NAME --quick --json FOLDER/NAME.json` does."""
    with (folder / f"{name}.log").open("w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    sys.argv = [f"benchmarks/{name}.py", "--quick", "--json", str(folder / f"{name}.json")]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")


def main():
    folder, *names = sys.argv[1:]
    for module in SHARED_IMPORTS:
        import_module(module)
    context = multiprocessing.get_context("fork")
    num_failed = 0
    for name in names:
        process = context.Process(target=run_as_main, args=(name, Path(folder)))
        process.start()
        process.join()
        num_failed += process.exitcode != 0
    sys.exit(num_failed)


if __name__ == "__main__":
    main()
