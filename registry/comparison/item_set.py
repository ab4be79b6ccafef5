"""What a score was measured on: scores on other items do not compare."""

from __future__ import annotations

import hashlib
from typing import Any


def items(record: dict[str, Any]) -> set[tuple[str, int, str, int]]:
    """Task, version of its scoring, hash of its files and number of items, of each task scored."""
    return {
        (task["task"], task["version"], task["file_sha256"], task["n"]) for task in record["tasks"]
    }


def scored_on(record: dict[str, Any]) -> str:
    """The same for two evaluations of exactly the same items."""
    return hashlib.sha256(str(sorted(items(record))).encode()).hexdigest()[:12]
