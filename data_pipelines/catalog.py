"""The catalog of sources: `catalog.yaml` beside this file, and the hashes in `catalog.sha256`."""

from __future__ import annotations

import difflib
import fnmatch
from pathlib import Path, PurePosixPath

import yaml
from pydantic import TypeAdapter, ValidationError

from data_pipelines.errors import SourceError
from data_pipelines.sources.source import Source

BUILT_IN = Path(__file__).with_name("catalog.yaml")
BUILT_IN_HASHES = Path(__file__).with_name("catalog.sha256")


def path_of(named: str) -> Path:
    """The catalog that `fetch.catalog` names; the built-in one where it names none."""
    return Path(named) if named else BUILT_IN


def load(path: Path) -> dict[str, Source]:
    """Name -> source. Raises SourceError naming the entry that is wrong, and what of it."""
    from data_pipelines.sources.eval_data.table import READERS
    from data_pipelines.sources.table import LOADERS

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"data_pipelines.fetch.catalog is {str(path)!r}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SourceError(f"{path} must be a mapping of source names to entries")
    adapter = TypeAdapter(Source)
    sources = {}
    for name, entry in data.items():
        try:
            source = adapter.validate_python(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (name, *first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            raise SourceError(f"{path}: {where}: {reason}") from None
        known = READERS if source.suite else LOADERS
        if source.format not in known:
            raise SourceError(
                f"{path}: {name}.format: {source.format!r} is none of {', '.join(known)}"
            )
        sources[name] = source
    return sources


def select(sources: dict[str, Source], patterns: tuple[str, ...]) -> dict[str, Source]:
    """The sources that the patterns name. Raises SourceError for a pattern that names none."""
    chosen: dict[str, Source] = {}
    for pattern in patterns:
        found = {n: s for n, s in sources.items() if fnmatch.fnmatchcase(n, pattern)}
        if not found:
            near = difflib.get_close_matches(pattern, sources, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SourceError(
                f"data_pipelines.fetch.sources: no source is called {pattern!r}; {hint}"
                "`flanmoe data catalog` lists them"
            )
        chosen |= found
    return chosen


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file name is one of those that the patterns mean."""
    return any(matches_one(name, pattern) for pattern in patterns)


def matches_one(name: str, pattern: str) -> bool:
    """Like a glob: a star does not cross folders."""
    parts, wanted = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True)
    )


def pins(path: Path) -> dict[str, str]:
    """Hashes beside a catalog, as `sha256sum` writes them: file below the root -> sha256."""
    beside = BUILT_IN_HASHES if path == BUILT_IN else path.with_suffix(".sha256")
    if not beside.is_file():
        return {}
    found = {}
    for number, line in enumerate(beside.read_text(encoding="utf-8").splitlines(), start=1):
        digest, _, name = line.strip().partition("  ")
        if not line.strip():
            continue
        if len(digest) != 64 or not name:
            raise SourceError(f"{beside}, line {number}: not a line of sha256sum")
        found[name] = digest
    return found
