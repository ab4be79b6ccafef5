"""Stage `fetch`: bring every source into data/raw, under the names the catalog gives, and pin each
file by its hash."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from tqdm import tqdm

from data_pipelines import catalog, layout
from data_pipelines.errors import SourceError
from data_pipelines.files import new_folder, sha256, write_json
from data_pipelines.params import FetchParams
from data_pipelines.sources.download import download
from data_pipelines.sources.sample.generate import SOURCES as SAMPLE
from data_pipelines.sources.sample.generate import generate
from data_pipelines.sources.source import Source

DOWNLOADS = Path(".flanmoe/downloads")
"""What has arrived of a fetch that did not end, below the workspace."""


def run(params: FetchParams, workspace: Path) -> None:
    """Fills data/raw and its manifest.json: every source with its files, every file's hash.

    Raises SourceError when a file is missing, cannot be had, or differs from its pin.
    """
    path = catalog.path_of(params.catalog)
    chosen = catalog.select(catalog.load(path), params.sources) if params.sources else {}
    accepted = {n: s for n, s in chosen.items() if s.terms in params.licences}
    left_out = {
        name: f"its licence is {source.licence} ({source.terms})"
        for name, source in chosen.items()
        if name not in accepted
    }
    if not accepted and params.sample is None:
        raise SourceError(
            f"data_pipelines.fetch.licences leaves out every source: {', '.join(left_out)}"
        )
    pins = catalog.pins(path)
    found = {name: _find(name, source, params, pins) for name, source in accepted.items()}
    for name in [name for name, files in found.items() if not files]:
        left_out[name] = f"{params.root} does not hold its files"
        del accepted[name], found[name]
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
    places = {file: location for files in found.values() for file, location in files.items()}
    cut = set() if params.root else {f for s in accepted.values() for f in s.cut}
    expected = {f: pins[f] for f in places if f in pins and f not in cut} if params.verify else {}
    with new_folder(workspace / layout.RAW) as raw:
        sources = dict(accepted)
        if params.sample is not None:
            generate(raw, params.sample)
            sources |= SAMPLE
        _bring(places, expected, raw, workspace / DOWNLOADS, params.retries)
        files = sorted(p.relative_to(raw).as_posix() for p in raw.rglob("*") if p.is_file())
        hashes = {file: sha256(raw / file) for file in tqdm(files, desc="hash", unit="file")}
        manifest = {
            "files": {
                file: {"sha256": digest, "bytes": (raw / file).stat().st_size}
                for file, digest in hashes.items()
            },
            "sources": {
                name: asdict(source) | _here(source, hashes, pins)
                for name, source in sources.items()
            },
            "left_out": left_out,
        }
        write_json(raw / "manifest.json", manifest)
    shutil.rmtree(workspace / DOWNLOADS, ignore_errors=True)


def _here(source: Source, hashes: dict[str, str], pins: dict[str, str]) -> dict[str, list[str]]:
    """The source's files that are present, and which of them are known to be cut."""
    found = [file for file in hashes if catalog.matches(file, source.files)]
    cut = [file for file in found if file in source.cut and hashes[file] == pins.get(file)]
    return {"found": found, "cut": cut}


def _find(name: str, source: Source, params: FetchParams, pins: dict[str, str]) -> dict[str, str]:
    """File name -> where it is fetched from; nothing for a source that may be left out."""
    found: dict[str, str] = {}
    # Another folder of these formats, asked for by a pattern: it may hold less.
    may_lack = bool(params.root) and not params.verify and name not in params.sources
    for pattern, url in source.patterns.items():
        pinned = [file for file in pins if catalog.matches_one(file, pattern)]
        if not params.root and not url:
            raise SourceError(f"{name} has no address of its own: set data_pipelines.fetch.root")
        if params.root and not _is_http(params.root):
            listed = _list(params.root, pattern)
            missing = sorted(set(pinned) - set(listed)) if params.verify else []
            if missing:
                raise SourceError(
                    f"{_below(params.root, missing[0])} is missing: the catalog's hashes name "
                    "it; fetch it again, or set data_pipelines.fetch.verify: false"
                )
        elif "*" in pattern:
            # A web server lists no folder: the pins say which files there are.
            listed = pinned
        else:
            listed = [pattern]
        if not listed and pattern in source.also:
            if may_lack and "*" in pattern:
                continue  # whoever reads the files says what it lacks
            if may_lack:
                return {}
            raise SourceError(f"{name}: no file matches {pattern!r} below {params.root}")
        for file in listed:
            place = _below(params.root, file) if params.root else _published(url, pattern, file)
            found[file] = place
    if not any(catalog.matches(file, source.files) for file in found):
        if may_lack:
            return {}
        where = params.root or source.url
        raise SourceError(f"{name}: no file matches {', '.join(source.files)!r} below {where}")
    return found


def _below(root: str, file: str) -> str:
    """Location of a file below a folder or URL."""
    return f"{root.rstrip('/')}/{file}"


def _published(url: str, pattern: str, file: str) -> str:
    """A source's `url` stands for the folder before a pattern's first star."""
    fixed = PurePosixPath(pattern.split("*")[0] + "x").parent
    return _below(url, PurePosixPath(file).relative_to(fixed).as_posix())


def _is_http(root: str) -> bool:
    return isinstance(fsspec.core.url_to_fs(root)[0], HTTPFileSystem)


def _list(root: str, pattern: str) -> list[str]:
    filesystem, base = fsspec.core.url_to_fs(root)
    if not filesystem.isdir(base):
        raise SourceError(
            f"data_pipelines.fetch.root is {root!r}: there is no such folder; "
            "set it to where the source files lie"
        )
    base = base.rstrip("/")
    paths = filesystem.glob(f"{base}/{pattern}")
    return sorted(p.removeprefix(base + "/") for p in paths if filesystem.isfile(p))


def _bring(
    places: dict[str, str], expected: dict[str, str], raw: Path, downloads: Path, retries: int
) -> None:
    """Every file below `raw`. Those that come over a network wait in `downloads` for the last."""
    local = {f: p for f, p in places.items() if _is_local(p)}
    remote = {f: p for f, p in places.items() if f not in local}
    for file, place in tqdm(local.items(), desc="copy", unit="file"):
        source = Path(fsspec.core.url_to_fs(place)[1])
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, raw / file)
        _verify(raw / file, place, expected.get(file))
    with tqdm(desc="download", unit="B", total=0, disable=not remote) as bar:
        for file, place in remote.items():
            bar.set_postfix_str(file)
            before = int(bar.n)

            def move(arrived: int, size: int, before: int = before) -> None:
                bar.total = before + max(arrived, size)
                bar.update(before + arrived - bar.n)

            download(place, downloads / file, retries=retries, progress=move)
            try:
                _verify(downloads / file, place, expected.get(file))
            except SourceError:
                (downloads / file).unlink()  # not to be taken for whole by the next run
                raise
    for file in remote:
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(downloads / file, raw / file)


def _is_local(place: str) -> bool:
    return isinstance(fsspec.core.url_to_fs(place)[0], LocalFileSystem)


def _verify(path: Path, place: str, expected: str | None) -> None:
    if path.stat().st_size == 0:
        raise SourceError(f"{place} is empty; fetch it again")
    found = sha256(path) if expected else None
    if found != expected:
        raise SourceError(
            f"{place} has sha256 {found}, the catalog says {expected}: it was cut or changed; "
            "fetch it again, or set data_pipelines.fetch.verify: false if the change is meant"
        )
