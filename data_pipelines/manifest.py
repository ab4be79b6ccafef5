"""Reader of data/raw/manifest.json, which the stage `fetch` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_pipelines import layout
from data_pipelines.errors import SourceError
from data_pipelines.sources.part import Part


def read_sources(workspace: Path) -> dict[str, dict[str, Any]]:
    """Return the fetched sources by name.

    Returns:
        Catalog entry by source name, plus `present_files` (paths below data/raw of all fetched
        files), `truncated_files` (paths of the files that contain only a part of the published
        file) and `missing_files` (files of the catalog that were not fetched).

    Raises:
        SourceError: `fetch` has not run, or an older release wrote the file.
    """
    sources: dict[str, dict[str, Any]] = read_manifest(workspace)["sources"]
    return sources


def read_manifest(workspace: Path) -> dict[str, Any]:
    """Return the content of data/raw/manifest.json.

    Raises:
        SourceError: `fetch` has not run, or an older release wrote the file.
    """
    path = workspace / layout.RAW / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; run `flanmoe fetch`") from None
    if "omitted_sources" not in manifest:
        raise SourceError(f"{path} is of an older release; run `flanmoe fetch`")
    return manifest


def make_part(workspace: Path, name: str, source: dict[str, Any], file: str) -> Part:
    """Return a Part that covers a complete file of a source.

    Args:
        workspace: folder that contains data/.
        name: name of the source.
        source: entry of the source, as `read_sources` returns it.
        file: path of the file below data/raw.
    """
    return Part(
        source=name,
        mixture=source["mixture"],
        format=source["format"],
        path=workspace / layout.RAW / file,
        name=file,
        options=source["options"],
    )
