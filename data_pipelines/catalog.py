"""The catalog of sources (`catalog.yaml`) and the hashes of their files (`catalog.sha256`)."""

from __future__ import annotations

import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.table import READERS
from data_pipelines.sources.source import RENAMED_FIELDS, Source
from data_pipelines.sources.table import LOADERS
from data_pipelines.suggestions import did_you_mean

BUILT_IN = Path(__file__).with_name("catalog.yaml")
BUILT_IN_HASHES = Path(__file__).with_name("catalog.sha256")

Value = TypeVar("Value")

RENAMED_FOLDERS = {"benchmarks/": "eval_data/"}
"""Former prefix of source names in the built-in catalog -> present prefix."""


def resolve_path(configured: str) -> Path:
    """Return the path that `fetch.catalog` names; that of the built-in catalog if it is empty."""
    return Path(configured) if configured else BUILT_IN


def load(path: Path) -> dict[str, Source]:
    """Read a catalog.

    Returns:
        Source by name, in the order of the file.

    Raises:
        SourceError: The file is missing or not YAML, or an entry is invalid.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"data_pipelines.fetch.catalog: {str(path)!r} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SourceError(f"{path} must be a mapping of source names to entries")
    return {name: _parse_entry(path, name, entry) for name, entry in data.items()}


def _parse_entry(path: Path, name: str, entry: Any) -> Source:
    try:
        source = TypeAdapter(Source).validate_python(entry)
    except ValidationError as error:
        raise SourceError(f"{path}: {_describe(name, error.errors()[0])}") from None
    known = READERS if source.suite else LOADERS
    if source.format not in known:
        raise SourceError(
            f"{path}: {name}.format: {source.format!r} is not one of {', '.join(known)}"
        )
    return source


def _describe(name: str, error: ErrorDetails) -> str:
    """Format a validation error as `<entry>.<field>: <problem>`."""
    location = ".".join(str(key) for key in (name, *error["loc"]))
    if error["type"] == "literal_error":
        choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
        return f"{location}: {error['input']!r} is not one of {choices.removesuffix(', ')}"
    if error["type"] != "unexpected_keyword_argument":
        return f"{location}: {error['msg'].removeprefix('Value error, ')}"
    field = str(error["loc"][-1])
    if field in RENAMED_FIELDS:
        return f"{location}: unknown field; renamed to {RENAMED_FIELDS[field]!r}"
    fields = Source.__dataclass_fields__
    return f"{location}: unknown field; {did_you_mean(field, fields)}known are {', '.join(fields)}"


def select_sources(sources: dict[str, Source], patterns: tuple[str, ...]) -> dict[str, Source]:
    """Return the sources whose names match any of the patterns.

    Args:
        sources: source by name.
        patterns: source names or shell patterns, e.g. `cot/*`.

    Raises:
        SourceError: A pattern matches no source.
    """
    selected: dict[str, Source] = {}
    for pattern in patterns:
        matches = {n: s for n, s in sources.items() if fnmatch.fnmatchcase(n, pattern)}
        if not matches:
            raise SourceError(
                f"data_pipelines.fetch.sources: no source matches {pattern!r}; "
                f"{_suggest(pattern, sources)}`flanmoe data catalog` lists the sources"
            )
        selected |= matches
    return selected


def _suggest(pattern: str, sources: dict[str, Source]) -> str:
    for former, present in RENAMED_FOLDERS.items():
        if pattern.startswith(former):
            return f"renamed to {present + pattern.removeprefix(former)!r}; "
    return did_you_mean(pattern, sources)


def matches_any(file: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a file name matches one of the glob patterns."""
    return any(matches_pattern(file, pattern) for pattern in patterns)


def matches_pattern(file: str, pattern: str) -> bool:
    """Return whether a file name matches a glob pattern, whose `*` does not match a slash."""
    file_parts, pattern_parts = PurePosixPath(file).parts, PurePosixPath(pattern).parts
    return len(file_parts) == len(pattern_parts) and all(
        fnmatch.fnmatchcase(file_part, pattern_part)
        for file_part, pattern_part in zip(file_parts, pattern_parts, strict=True)
    )


def match_file_name(file: str, values: dict[str, Value]) -> Value | None:
    """Return the value of the first pattern that matches the name of a file; None without a match.

    Args:
        file: path of the file; its folders do not count.
        values: value by glob pattern; upper and lower case are alike.
    """
    name = PurePosixPath(file).name.casefold()
    matches = (v for pattern, v in values.items() if fnmatch.fnmatchcase(name, pattern.casefold()))
    return next(matches, None)


def load_hashes(path: Path) -> dict[str, str]:
    """Read the expected hashes of a catalog from the `.sha256` file next to it.

    Returns:
        Hexadecimal SHA-256 by file name relative to `fetch.root`; empty if the file does not exist.

    Raises:
        SourceError: A line is not in the format of `sha256sum`.
    """
    hash_file = BUILT_IN_HASHES if path == BUILT_IN else path.with_suffix(".sha256")
    if not hash_file.is_file():
        return {}
    hashes = {}
    for number, line in enumerate(hash_file.read_text(encoding="utf-8").splitlines(), start=1):
        digest, _, name = line.strip().partition("  ")
        if not line.strip():
            continue
        if len(digest) != 64 or not name:
            raise SourceError(f"{hash_file}, line {number}: not a line of sha256sum")
        hashes[name] = digest
    return hashes
