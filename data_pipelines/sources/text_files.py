"""Reading source text without losing or inventing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_pipelines.errors import SourceError


def read_text(path: Path) -> str:
    """UTF-8 text, a byte-order mark removed. Raises SourceError naming the file."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; run `flanmoe fetch`") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text at byte {error.start}") from None


def read_lines(path: Path) -> list[str]:
    """Lines, broken at the line feed only: `str.splitlines` would also break inside cells."""
    lines = read_text(path).split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises SourceError saying where a cut or broken one stops."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = " (the file looks cut off)" if error.pos >= len(text.rstrip()) - 1 else ""
        raise SourceError(
            f"{path} is not JSON at line {error.lineno}: {error.msg}{cut}; fetch it again"
        ) from None
