"""What a person should know about the outputs of a stage, also when the stage was unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data_pipelines.manifest import read_manifest
from data_pipelines.sources.omissions import describe_omissions


def describe_outputs(stage: str, workspace: Path) -> list[str]:
    """Return the lines that `flanmoe run` prints after a stage that ran or was unchanged."""
    describe = _DESCRIBE.get(stage)
    return describe(workspace) if describe else []


def _describe_read(workspace: Path) -> list[str]:
    """Describe the sources that were not read."""
    return describe_omissions(read_manifest(workspace))


_DESCRIBE: dict[str, Callable[[Path], list[str]]] = {"read": _describe_read}
