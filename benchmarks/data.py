"""Speed of the data room against its two references, on generated rows.

    python -m benchmarks.data --quick                 # under a minute
    python -m benchmarks.data --rows 10000 100000 1000000 --json figures.json

Reference 1, the limit: the tokenizer alone, encoding the same texts on the same number of threads;
by the call that returns lists, as people use it, and by the one that returns arrays, as we do.
Reference 2: Hugging Face `datasets` with a fast tokenizer and a greedy packer, from the same file.
Every measurement is a process of its own, in turns; figures are medians.
"""

from __future__ import annotations

import json
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
from benchmarks.timing import machine, parser, write

PATH = ("mix", "validate", "pack")
WHOLE = ("read", "clean", *PATH)


def main() -> None:
    """Measures, prints a table, and writes the figures where asked."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    options.add_argument("--turns", type=int, default=3, help="measurements of each")
    chosen = options.parse_args()
    rows, turns = ([10_000], 1) if chosen.quick else (chosen.rows, chosen.turns)
    packages = ("sentencepiece", "pyarrow", "duckdb", "rensa", "great-expectations", "datasets")
    figures = {"machine": machine(*packages), "sizes": [_measure(count, turns) for count in rows]}
    print(_table(figures))
    write(figures, chosen.json)


def _measure(rows: int, turns: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="flanmoe-benchmark-") as folder:
        workspace = Path(folder)
        (workspace / "root/export").mkdir(parents=True)
        (workspace / "root/eval/gsm8k").mkdir(parents=True)
        write_rows(workspace / "root/export/rows.jsonl", rows)
        _suite(workspace / "root/eval/gsm8k/test.jsonl")
        _run("prepare", workspace)
        found: dict[str, list[Any]] = {"ours": [], "lists": [], "arrays": [], "datasets": []}
        for turn in range(turns):
            for kind in found:
                print(f"{rows:,} rows, turn {turn + 1}: {kind}", file=sys.stderr)
                found[kind].append(_run(kind, workspace))
    ours = {s: statistics.median(f["seconds"][s] for f in found["ours"]) for s in WHOLE}
    path = sum(ours[stage] for stage in PATH)
    seconds = {k: statistics.median(f["seconds"] for f in found[k]) for k in found if k != "ours"}
    tokens = found["lists"][0]["tokens"]
    return {
        "rows": rows,
        "tokens": tokens,
        "stages": ours,
        "path_seconds": path,
        "whole_seconds": sum(ours.values()),
        "seconds": seconds,
        "path_over_tokenizer_lists": path / seconds["lists"],
        "path_over_tokenizer_arrays": path / seconds["arrays"],
        "datasets_over_path": seconds["datasets"] / path,
        "datasets_over_whole": seconds["datasets"] / sum(ours.values()),
        "rows_a_second": rows / path,
        "tokens_a_second": tokens / path,
        "peak_mb": {k: max(f["peak_mb"] for f in found[k]) for k in ("ours", "datasets")},
        "peak_mb_by_stage": {s: max(f["peaks"].get(s, 0) for f in found["ours"]) for s in WHOLE},
        "encoder_fill": {
            "ours": found["ours"][0]["encoder_fill"],
            "datasets": found["datasets"][0]["encoder_fill"],
        },
    }


def _run(kind: str, workspace: Path) -> dict[str, Any]:
    """One measurement: what the process prints, and the most memory its tree took."""
    if kind == "ours":
        parts = [_process("stage", workspace, stage) for stage in WHOLE]
        return {
            "seconds": {s: p["seconds"] for s, p in zip(WHOLE, parts, strict=True)},
            "peaks": {s: p["peak_mb"] for s, p in zip(WHOLE, parts, strict=True)},
            "peak_mb": max(p["peak_mb"] for p in parts),
            "encoder_fill": parts[-1]["encoder_fill"],
        }
    return _process(kind, workspace)


def _process(*words: object) -> dict[str, Any]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.data_parts", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak = [0.0]
    watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watch.start()
    output = process.communicate()[0]
    # From the start of the process to its end: starting it and its workers is part of a stage.
    whole = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed")
    told: dict[str, Any] = json.loads(output.splitlines()[-1]) if output.strip() else {}
    return {"seconds": whole, "peak_mb": peak[0], **told}


def _watch(pid: int, peak: list[float]) -> None:
    """Resident memory of a process and its children; pages they share count for each."""
    try:
        root = psutil.Process(pid)
        while True:
            tree = [root, *root.children(recursive=True)]
            resident = 0
            for process in tree:
                try:
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], resident / 2**20)
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        return


def _suite(path: Path) -> None:
    """Evaluation items to be kept from, none of them in the rows."""
    lines = (
        json.dumps({"question": " ".join(f"item{i}word{j}" for j in range(40)), "answer": "#### 1"})
        for i in range(5_000)
    )
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['machine']['cpu']}, {figures['machine']['threads']} threads; seconds",
        f"{'rows':>9} {'read':>6} {'clean':>6} {'mix':>6} {'valid.':>6} {'pack':>6} {'path':>7} "
        f"{'tokenizer':>10} {'(arrays)':>9} {'datasets':>9} {'path/tok.':>10} {'ds/path':>8} "
        f"{'ds/whole':>9} {'rows/s':>8} {'Mtok/s':>7} {'MB':>6}",
    ]
    for size in figures["sizes"]:
        stages, seconds = size["stages"], size["seconds"]
        lines.append(
            f"{size['rows']:>9,} "
            + " ".join(f"{stages[stage]:>6.1f}" for stage in WHOLE)
            + f" {size['path_seconds']:>7.1f} {seconds['lists']:>10.2f} {seconds['arrays']:>9.2f} "
            f"{seconds['datasets']:>9.1f} {size['path_over_tokenizer_lists']:>10.2f} "
            f"{size['datasets_over_path']:>8.2f} {size['datasets_over_whole']:>9.2f} "
            f"{size['rows_a_second']:>8,.0f} {size['tokens_a_second'] / 1e6:>7.2f} "
            f"{size['peak_mb']['ours']:>6.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
