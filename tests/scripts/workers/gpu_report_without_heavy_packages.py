"""Run `scripts/gpu_report --check-imports` while packages that it must not need are blocked."""

import runpy
import sys
from pathlib import Path

BLOCKED = (
    "prefect",
    "dvc",
    "dvclive",
    "lm_eval",
    "yaml",
    "great_expectations",
    "sqlalchemy",
    "fairscale",
    "transformers",
    "pandas",
    "duckdb",
    "scipy",
    "click",
    "streamlit",
    "hypothesis",
)
for package in BLOCKED:
    sys.modules[package] = None

script = Path(__file__).parents[3] / "scripts" / "gpu_report"
sys.argv = [str(script), "--check-imports"]
runpy.run_path(str(script), run_name="__main__")
