"""JSON files that the stages write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_pipelines.errors import DataError


def read_stage_json(path: Path, command: str) -> Any:
    """Read a JSON file of a stage.

    Args:
        path: the file.
        command: name of the `flanmoe` command that writes it, for the error.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run `flanmoe {command}`") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; run `flanmoe {command}`") from None
