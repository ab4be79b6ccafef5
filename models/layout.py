"""Where the models room reads and writes, below the workspace."""

from __future__ import annotations

from pathlib import Path

PACKED = Path("data/packed")
TOKENIZER = Path("data/tokenizer")
BENCHMARKS = Path("data/eval_data")
CONTAMINATION = Path("data/mixture/contamination.json")
FINDINGS = (Path("data/validation/results.json"), Path("data/packed/validation.json"))
RUNS = Path("runs")
CHECKPOINTS = Path(".flanmoe/checkpoints")
RESPONSES = Path(".flanmoe/responses")
"""What an evaluation that did not end has answered."""
