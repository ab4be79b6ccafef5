"""Output folders of the data stages, relative to the workspace."""

from __future__ import annotations

from pathlib import Path

RAW = Path("data/raw")
EVAL_DATA = Path("data/eval_data")
EVAL_ITEMS = EVAL_DATA / "eval_items.parquet"
RECORDS = Path("data/records")
CLEAN = Path("data/clean")
MIXTURE = Path("data/mixture")
SELF_TEST = "self_test.json"
"""File in the folder of the mixture."""
VALIDATION = Path("data/validation")
TOKENIZER = Path("data/tokenizer")
PACKED = Path("data/packed")
