"""What a fetch did not read or could not verify: omitted sources, missing files, missing hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_pipelines.sources.location import describe_similar_files

MAX_FILES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class OmittedSource:
    """A selected source that was not fetched."""

    reason: str
    """Why, with the files that were looked for."""
    similar_files: tuple[str, ...] = ()
    """Files below the root that may be the missing ones under another name."""

    def describe(self, name: str) -> str:
        """Return one line for a message."""
        hint = describe_similar_files(list(self.similar_files))
        return f"source {name} is left out: {self.reason}{'; ' if hint else ''}{hint}"


def describe_omissions(manifest: dict[str, Any]) -> list[str]:
    """Return one line per omitted source, per source with missing files, and on missing hashes.

    Args:
        manifest: content of data/raw/manifest.json.
    """
    lines = [
        OmittedSource(**entry).describe(name) for name, entry in manifest["omitted_sources"].items()
    ]
    for name, source in manifest["sources"].items():
        missing, present = source["missing_files"], source["present_files"]
        if missing:
            lines.append(
                f"source {name}: {len(missing)} of the {len(missing) + len(present)} files of the "
                f"catalog are missing: {_join_names(missing)}"
            )
    unverified = manifest["unverified_files"]
    if unverified:
        lines.append(
            f"data_pipelines.fetch.verify: {len(unverified)} files have no hash in the catalog and "
            f"are not verified: {_join_names(unverified)}"
        )
    return lines


def _join_names(files: list[str]) -> str:
    more = len(files) - MAX_FILES_SHOWN
    return ", ".join(files[:MAX_FILES_SHOWN]) + (f" and {more} more" if more > 0 else "")
