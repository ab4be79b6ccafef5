"""Files and folders of the package `models`, relative to the workspace."""

from __future__ import annotations

from pathlib import Path

PACKED = Path("data/packed")
TOKENIZER = Path("data/tokenizer")
EVAL_DATA = Path("data/eval_data")
CONTAMINATION = Path("data/mixture/contamination.json")
SELF_TEST = Path("data/mixture/self_test.json")
VALIDATION_RESULTS = (Path("data/validation/results.json"), Path("data/packed/validation.json"))
RUNS = Path("runs")
CHECKPOINTS = Path(".flanmoe/checkpoints")
RESPONSES = Path(".flanmoe/responses")
"""Responses of interrupted evaluations."""
