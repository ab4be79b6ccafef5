"""What `fetch` brought: the sources of data/raw/manifest.json, as parts to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.errors import SourceError
from data_pipelines.sources.part import Part


def sources(workspace: Path) -> dict[str, dict[str, Any]]:
    """Name -> catalog entry, with `found`, its files below data/raw. Raises SourceError."""
    found: dict[str, dict[str, Any]] = _read(workspace)["sources"]
    return found


def part(workspace: Path, name: str, source: dict[str, Any], file: str) -> Part:
    """One whole file of a source."""
    return Part(
        source=name,
        mixture=source["mixture"],
        format=source["format"],
        path=workspace / layout.RAW / file,
        name=file,
        options=source["options"],
    )


def _read(workspace: Path) -> Any:
    path = workspace / layout.RAW / "manifest.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; run `flanmoe fetch`") from None
