"""Measure the speed of the data stages against two references, on generated rows.

    python -m benchmarks.data --quick                 # few rows: checks that it runs
    python -m benchmarks.data --rows 10000 100000 1000000 --json figures.json

Reference 1, a lower bound: the tokenizer alone, on the same texts and number of threads; once with
the call that returns lists (the usual one), once with the call that returns arrays (that of the
stage `pack`). Reference 2: Hugging Face `datasets` with a fast tokenizer and a greedy packer, from
the same file. Each measurement runs in a separate process, and the candidates take turns; the
figures are medians.
"""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.rows import write_rows
from benchmarks.timing import argument_parser, machine_info, write_figures

logger = logging.getLogger(__name__)

PATH = ("mix", "validate", "pack")
"""The stages that do the work of the references."""
ALL_STAGES = ("read", "clean", *PATH)
REFERENCES = ("tokenizer_lists", "tokenizer_arrays", "datasets")
NUM_EVAL_ITEMS = 5_000


def main() -> None:
    """Measure, print a table, and write the figures with --json."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--turns", type=int, default=3, help="measurements of each candidate")
    options = parser.parse_args()
    num_rows, turns = ([1_000], 1) if options.quick else (options.rows, options.turns)
    packages = ("sentencepiece", "pyarrow", "duckdb", "rensa", "great-expectations", "datasets")
    sizes = [_measure_size(count, turns) for count in num_rows]
    figures = {"machine": machine_info(*packages), "sizes": sizes}
    print(_format_table(figures))
    write_figures(figures, options.json)


def _measure_size(num_rows: int, turns: int) -> dict[str, Any]:
    """Measure all candidates on the same generated file."""
    with tempfile.TemporaryDirectory(prefix="flanmoe-benchmark-") as folder:
        workspace = Path(folder)
        (workspace / "root/export").mkdir(parents=True)
        (workspace / "root/eval/gsm8k").mkdir(parents=True)
        write_rows(workspace / "root/export/rows.jsonl", num_rows)
        _write_eval_items(workspace / "root/eval/gsm8k/test.jsonl")
        _run_process("prepare", workspace)
        measured: dict[str, list[Any]] = {name: [] for name in ("flanmoe", *REFERENCES)}
        for turn in range(turns):
            for name in measured:
                logger.info("%s rows, turn %s: %s", f"{num_rows:,}", turn + 1, name)
                measured[name].append(_measure(name, workspace))
    stage_seconds = {
        stage: statistics.median(m["seconds"][stage] for m in measured["flanmoe"])
        for stage in ALL_STAGES
    }
    reference_seconds = {
        name: statistics.median(m["seconds"] for m in measured[name]) for name in REFERENCES
    }
    path_seconds = sum(stage_seconds[stage] for stage in PATH)
    total_seconds = sum(stage_seconds.values())
    num_tokens = measured["tokenizer_lists"][0]["num_tokens"]
    return {
        "num_rows": num_rows,
        "num_tokens": num_tokens,
        "stage_seconds": stage_seconds,
        "path_seconds": path_seconds,
        "total_seconds": total_seconds,
        "reference_seconds": reference_seconds,
        "path_over_tokenizer_lists": path_seconds / reference_seconds["tokenizer_lists"],
        "path_over_tokenizer_arrays": path_seconds / reference_seconds["tokenizer_arrays"],
        "datasets_over_path": reference_seconds["datasets"] / path_seconds,
        "datasets_over_total": reference_seconds["datasets"] / total_seconds,
        "rows_per_second": num_rows / path_seconds,
        "tokens_per_second": num_tokens / path_seconds,
        "peak_mb": {
            name: max(m["peak_mb"] for m in measured[name]) for name in ("flanmoe", "datasets")
        },
        "peak_mb_by_stage": {
            stage: max(m["peak_mb_by_stage"][stage] for m in measured["flanmoe"])
            for stage in ALL_STAGES
        },
        "encoder_fill": {
            name: measured[name][0]["encoder_fill"] for name in ("flanmoe", "datasets")
        },
    }


def _measure(name: str, workspace: Path) -> dict[str, Any]:
    """Return the seconds and peak memory of one candidate."""
    if name != "flanmoe":
        return _run_process(name, workspace)
    stages = {stage: _run_process("stage", workspace, stage) for stage in ALL_STAGES}
    peaks = {stage: measured["peak_mb"] for stage, measured in stages.items()}
    return {
        "seconds": {stage: measured["seconds"] for stage, measured in stages.items()},
        "peak_mb_by_stage": peaks,
        "peak_mb": max(peaks.values()),
        "encoder_fill": stages["pack"]["encoder_fill"],
    }


def _run_process(*words: object) -> dict[str, Any]:
    """Run `benchmarks.data_parts WORDS`; the seconds include the start of its processes.

    A candidate that times itself prints `seconds`, which replace those measured here.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.data_parts", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak_mb = [0.0]
    watcher = threading.Thread(target=_watch_memory, args=(process.pid, peak_mb), daemon=True)
    watcher.start()
    output = process.communicate()[0]
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"benchmarks.data_parts {' '.join(map(str, words))} failed")
    printed: dict[str, Any] = json.loads(output.splitlines()[-1]) if output.strip() else {}
    return {"seconds": seconds, "peak_mb": peak_mb[0], **printed}


def _watch_memory(pid: int, peak_mb: list[float]) -> None:
    """Record the peak resident memory of a process tree; shared pages count per process."""
    try:
        root = psutil.Process(pid)
        while True:
            resident = 0
            for process in (root, *root.children(recursive=True)):
                try:
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak_mb[0] = max(peak_mb[0], resident / 2**20)
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return


def _write_eval_items(path: Path) -> None:
    """Write evaluation items, none of which overlaps with the generated rows."""
    lines = (
        json.dumps({"question": " ".join(f"item{i}word{j}" for j in range(40)), "answer": "#### 1"})
        for i in range(NUM_EVAL_ITEMS)
    )
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _format_table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['machine']['cpu']}, {figures['machine']['threads']} threads; seconds",
        f"{'rows':>9} {'read':>6} {'clean':>6} {'mix':>6} {'valid.':>6} {'pack':>6} {'path':>7} "
        f"{'tokenizer':>10} {'(arrays)':>9} {'datasets':>9} {'path/tok.':>10} {'ds/path':>8} "
        f"{'ds/total':>9} {'rows/s':>8} {'Mtok/s':>7} {'MB':>6}",
    ]
    for size in figures["sizes"]:
        stages, references = size["stage_seconds"], size["reference_seconds"]
        lines.append(
            f"{size['num_rows']:>9,} "
            + " ".join(f"{stages[stage]:>6.1f}" for stage in ALL_STAGES)
            + f" {size['path_seconds']:>7.1f} {references['tokenizer_lists']:>10.2f} "
            f"{references['tokenizer_arrays']:>9.2f} {references['datasets']:>9.1f} "
            f"{size['path_over_tokenizer_lists']:>10.2f} {size['datasets_over_path']:>8.2f} "
            f"{size['datasets_over_total']:>9.2f} {size['rows_per_second']:>8,.0f} "
            f"{size['tokens_per_second'] / 1e6:>7.2f} {size['peak_mb']['flanmoe']:>6.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
