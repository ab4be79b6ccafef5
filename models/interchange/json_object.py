"""JSON files of a Hugging Face checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import CorruptCheckpoint


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        CorruptCheckpoint: the file is not JSON, or is another JSON value.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptCheckpoint(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise CorruptCheckpoint(f"{path} is not a JSON object")
    return content
