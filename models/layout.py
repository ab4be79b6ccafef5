"""Where the models room reads and writes, below the workspace."""

from __future__ import annotations

from pathlib import Path

PACKED = Path("data/packed")
TOKENIZER = Path("data/tokenizer")
BENCHMARKS = Path("data/benchmarks")
RUNS = Path("runs")
CHECKPOINTS = Path(".flanmoe/checkpoints")
