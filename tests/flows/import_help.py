"""Print `flanmoe --help` and fail if that imported a heavy package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from flows.cli import cli

cli.main(["--help"], standalone_mode=False)
HEAVY = {"torch", "prefect", "pandas", "dvc", "sqlalchemy", "streamlit", "pydantic"}
sys.exit(f"imported: {HEAVY & set(sys.modules)}" if HEAVY & set(sys.modules) else 0)
