"""Measure `flanmoe data seen` on a packed corpus of many rows.

    python -m benchmarks.provenance --quick          # few rows: checks that it runs
    python -m benchmarks.provenance --rows 1000000 --json figures.json

Each measurement is a process from start to end, as a user starts it. The corpus has the origins of
random examples, written as the stage `pack` writes them; the command reads no token shard.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.timing import argument_parser, machine_info, write_figures
from data_pipelines.origins import FOLDER, SOURCE_COLUMNS, write_origins
from data_pipelines.packed import manifest_version

ROWS_PER_SHARD = 10_000
EXAMPLES_PER_ROW = 4
NUM_TASKS = 200
GLOBAL_BATCH_SIZE = 128
NUM_EPOCHS = 3


def main() -> None:
    """Measure, print a table, and write the figures with --json."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="packed rows of the corpus")
    parser.add_argument("--turns", type=int, default=5, help="measurements of each question")
    options = parser.parse_args()
    num_rows, turns = (2_000, 1) if options.quick else (options.rows, options.turns)
    with tempfile.TemporaryDirectory(prefix="flanmoe-benchmark-") as folder:
        workspace = Path(folder)
        num_steps = NUM_EPOCHS * num_rows // GLOBAL_BATCH_SIZE
        uids = _write_corpus(workspace / "data/packed/train", num_rows)
        _write_record(workspace, num_steps)
        questions = {
            "10 steps of the first epoch": ["--steps", "1:10"],
            "10 steps of the last epoch": ["--steps", f"{num_steps - 9}:{num_steps}"],
            "an example": ["--item", uids[0]],
            "an exemplar": ["--item", uids[1]],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in questions}
        for _ in range(turns):
            for name, arguments in questions.items():
                times[name].append(_time_command(workspace, arguments))
    figures = {
        "machine": machine_info("pyarrow", "numpy"),
        "num_rows": num_rows,
        "num_examples": num_rows * EXAMPLES_PER_ROW,
        "num_steps": num_steps,
        "seconds": {name: statistics.median(t for t, _ in times[name]) for name in times},
        "cpu_seconds": {name: statistics.median(cpu for _, cpu in times[name]) for name in times},
    }
    print(f"{num_rows:,} packed rows, {figures['num_examples']:,} examples, {num_steps:,} steps")
    for name, value in figures["seconds"].items():
        print(f"{name:<30} {value:6.2f} s, processor {figures['cpu_seconds'][name]:6.2f} s")
    write_figures(figures, options.json)


def _write_corpus(folder: Path, num_rows: int) -> tuple[str, str]:
    """Write manifest and origins; return the uid of a rare and of a frequent exemplar."""
    rng = np.random.default_rng(0)
    (folder / FOLDER).mkdir(parents=True)
    pool = [_uids(rng, 8) for _ in range(NUM_TASKS)]
    rare = ""
    shards = []
    for start in range(0, num_rows, ROWS_PER_SHARD):
        rows = min(ROWS_PER_SHARD, num_rows - start)
        count = rows * EXAMPLES_PER_ROW
        tasks = rng.integers(NUM_TASKS, size=count)
        uids = _uids(rng, count)
        rare = rare or uids[0]
        columns = {
            "uid": uids,
            "mixture": [f"mixture{task % 4}" for task in tasks.tolist()],
            "task": [f"task{task}" for task in tasks.tolist()],
            "template": [f"template{number}" for number in rng.integers(10, size=count).tolist()],
            "source_file": [f"folder/file{task}.json" for task in tasks.tolist()],
            "source_row": rng.integers(100_000, size=count),
            "exemplars": [pool[task][: 2 * (task % 2)] for task in tasks.tolist()],
        }
        file = f"{len(shards):05d}.arrow"
        digest = write_origins(
            folder / FOLDER / file,
            pa.table({name: pa.array(columns[name]) for name in SOURCE_COLUMNS}),
            np.repeat(np.arange(rows), EXAMPLES_PER_ROW),
            np.full(count, 120),
            np.full(count, 12),
        )
        shards.append({"file": file, "rows": rows, "sha256": "", "origins_sha256": digest})
    manifest: dict[str, Any] = {"corpus": "train", "rows": num_rows, "shards": shards}
    manifest["version"] = manifest_version(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return rare, pool[1][0]


def _uids(rng: np.random.Generator, count: int) -> list[str]:
    digits = rng.bytes(10 * count).hex()
    return [digits[start : start + 20] for start in range(0, len(digits), 20)]


def _write_record(workspace: Path, num_steps: int) -> None:
    """Write the record of a run over the corpus."""
    manifest = json.loads((workspace / "data/packed/train/manifest.json").read_text())
    record = {
        "schema_version": 2, "name": "run", "preset": "tiny_dense", "start": "scratch",
        "data": "train", "tasks": [], "tuned": True, "seed": 0, "steps": num_steps,
        "params": {"training": {"global_batch_size": GLOBAL_BATCH_SIZE}}, "model": {"moe": None},
        "total_parameters": 1, "active_parameters": 1, "flops_per_token": 1.0,
        "training_flops": 1.0, "recomputation_flops": 0.0, "cumulative_training_flops": 1.0,
        "training_chain": {"origin": "scratch", "runs": []}, "target_tokens": 1,
        "losses": {}, "skipped_batches": [7, 8], "router_health": {},
        "data_version": manifest["version"], "data_hashes": {}, "licences": [],
        "sequence": {"encoder_length": 512, "decoder_length": 128}, "tokenizer_sha256": "",
        "weights": "", "weights_sha256": "", "world_size": 1,
    }  # fmt: skip
    folder = workspace / "runs/run/seed_0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


def _time_command(workspace: Path, arguments: list[str]) -> tuple[float, float]:
    """Return the seconds, and the processor seconds, of a command; the latter ignore other load."""
    command = [sys.executable, "-m", "flows", "data", "seen", "run", *arguments, "--json"]
    start, cpu_start = time.perf_counter(), _child_cpu_seconds()
    subprocess.run([*command, "--workspace", str(workspace)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, _child_cpu_seconds() - cpu_start


def _child_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
