"""Where the files of the catalog's sources are: below `fetch.root`, or at their published URLs."""

from __future__ import annotations

import glob
from pathlib import PurePosixPath

import fsspec
from fsspec.implementations.http import HTTPFileSystem

from data_pipelines import catalog
from data_pipelines.errors import SourceError
from data_pipelines.params import FetchParams
from data_pipelines.sources.similar_files import suggest_files
from data_pipelines.sources.source import Source


class FilesMissing(Exception):
    """No file below the root matches the patterns of a source that may be omitted."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        super().__init__(patterns)
        self.patterns = patterns


class SourceLocator:
    """Finds the files of sources, and files with similar names where one is missing."""

    def __init__(
        self, params: FetchParams, sources: dict[str, Source], hashes: dict[str, str]
    ) -> None:
        """Store the settings.

        Args:
            params: root, verification, and the sources that are selected by name.
            sources: the complete catalog, source by name.
            hashes: sha256 of the files that the catalog was written for, by path.
        """
        self.params, self.hashes = params, hashes
        self._patterns = tuple({p for s in sources.values() for p in s.url_by_pattern})
        self._unlisted_files: list[str] | None = None

    def locate(self, name: str, source: Source) -> dict[str, str]:
        """Return the path or URL of each file of a source, by its path below data/raw.

        Raises:
            SourceError: the source has no published address, or a file is missing.
            FilesMissing: files are missing, and the source may be omitted: a pattern selects it
                and the root is not verified.
        """
        params = self.params
        locations: dict[str, str] = {}
        missing_patterns: list[str] = []
        can_omit = bool(params.root) and not params.verify and name not in params.sources
        for pattern, url in source.url_by_pattern.items():
            hashed = [file for file in self.hashes if catalog.matches_pattern(file, pattern)]
            if not params.root and not url:
                raise SourceError(f"{name} has no published address; set data_pipelines.fetch.root")
            if params.root and not is_http(params.root):
                files = list_files(params.root, pattern)
                missing = sorted(set(hashed) - set(files)) if params.verify else []
                if missing:
                    raise SourceError(
                        f"{_join(params.root, missing[0])} is missing, but the catalog has its "
                        f"hash; {self._hint(missing[0])}fetch it again, or set "
                        "data_pipelines.fetch.verify: false"
                    )
            elif "*" in pattern:
                # HTTP cannot list a folder, so the catalog's hashes name the files.
                files = hashed
            else:
                files = [pattern]
            if not files and pattern in source.additional_files:
                if can_omit and "*" in pattern:
                    continue  # the loader raises SourceError if it needs a missing file
                if can_omit:
                    missing_patterns.append(pattern)
                    continue
                raise SourceError(
                    f"{name}: no file matches {pattern!r} below {params.root}"
                    f"{self._hint(pattern, before='; ')}"
                )
            for file in files:
                locations[file] = (
                    _join(params.root, file) if params.root else _published(url, pattern, file)
                )
        if not any(catalog.matches_any(file, source.files) for file in locations):
            if can_omit:
                raise FilesMissing((*source.files, *missing_patterns))
            raise SourceError(
                f"{name}: no file matches {', '.join(source.files)!r} below "
                f"{params.root or source.url}{self._hint(*source.files, before='; ')}"
            )
        if missing_patterns:
            raise FilesMissing(tuple(missing_patterns))
        return locations

    def similar_files(self, patterns: tuple[str, ...]) -> list[str]:
        """Return files below the root whose names are similar to a pattern that matches no file.

        Files of other sources are not returned. Empty for a root that cannot be listed.
        """
        if not self.params.root or is_http(self.params.root):
            return []
        if self._unlisted_files is None:
            self._unlisted_files = [
                file
                for file in list_files(self.params.root, "**")
                if not catalog.matches_any(file, self._patterns)
            ]
        files = self._unlisted_files
        return [file for pattern in patterns for file in suggest_files(pattern, files)]

    def _hint(self, *patterns: str, before: str = "") -> str:
        similar = self.similar_files(patterns)
        return (
            f"{before}{describe_similar_files(similar)}{'' if before else '; '}" if similar else ""
        )


def describe_similar_files(files: list[str]) -> str:
    """Return the hint of an error message or warning that names files with similar names."""
    verb = "has a similar name" if len(files) == 1 else "have similar names"
    return f"{', '.join(files)} {verb}: rename or move it" if files else ""


def is_http(root: str) -> bool:
    """Return whether the root is an HTTP server, whose folders cannot be listed."""
    return isinstance(fsspec.core.url_to_fs(root)[0], HTTPFileSystem)


def list_files(root: str, pattern: str) -> list[str]:
    """Return the files below a root that match a glob pattern, relative to the root, sorted.

    Raises:
        SourceError: the root is not a folder.
    """
    filesystem, base = fsspec.core.url_to_fs(root)
    if not filesystem.isdir(base):
        raise SourceError(
            f"data_pipelines.fetch.root: {root!r} is not a folder; set it to the folder that "
            "contains the source files"
        )
    base = base.rstrip("/")
    paths = filesystem.glob(f"{glob.escape(base)}/{pattern}")
    return sorted(p.removeprefix(base + "/") for p in paths if filesystem.isfile(p))


def _join(root: str, file: str) -> str:
    """Return the location of a file below a folder or URL."""
    return f"{root.rstrip('/')}/{file}"


def _published(url: str, pattern: str, file: str) -> str:
    """Return a file's URL; `url` is the address of the folder before the pattern's first `*`."""
    folder = PurePosixPath(pattern.split("*")[0] + "x").parent
    return _join(url, PurePosixPath(file).relative_to(folder).as_posix())
