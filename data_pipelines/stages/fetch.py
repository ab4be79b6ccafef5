"""Stage `fetch`: copy or download every source into data/raw and record the hash of each file.

Each file has the same path below data/raw as in the catalog. Also writes data/raw/manifest.json:
the hash and size of every file, and every source with its files and licence.
"""

from __future__ import annotations

import glob
import logging
import os
import shutil
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
from data_pipelines.sources.sample.generate import SOURCES as SAMPLE_SOURCES
from data_pipelines.sources.sample.generate import generate
from data_pipelines.sources.source import Source

logger = logging.getLogger(__name__)

DOWNLOADS = Path(".flanmoe/downloads")
"""Downloads of an interrupted fetch, relative to the workspace."""


def run(params: FetchParams, workspace: Path) -> None:
    """Write data/raw.

    Raises:
        SourceError: the catalog is invalid, no source has accepted terms, or a file is missing,
            empty, cannot be downloaded, or does not match its hash.
    """
    catalog_path = catalog.resolve_path(params.catalog)
    selected = (
        catalog.select_sources(catalog.load(catalog_path), params.sources) if params.sources else {}
    )
    accepted = {n: s for n, s in selected.items() if s.terms in params.licences}
    excluded = {
        name: f"its licence is {source.licence} ({source.terms})"
        for name, source in selected.items()
        if name not in accepted
    }
    if not accepted and params.sample is None:
        raise SourceError(
            f"data_pipelines.fetch.licences excludes every source: {', '.join(excluded)}; accept "
            "further terms or name other sources"
        )
    hashes = catalog.load_hashes(catalog_path)
    locations_by_source = {
        name: _locate_files(name, source, params, hashes) for name, source in accepted.items()
    }
    for name in [name for name, files in locations_by_source.items() if not files]:
        excluded[name] = f"{params.root} does not contain its files"
        del accepted[name], locations_by_source[name]
    for name, reason in excluded.items():
        logger.warning("%s is skipped: %s", name, reason)
    locations = {
        file: location for files in locations_by_source.values() for file, location in files.items()
    }
    # The catalog has the hash of the truncated file; the published file is complete.
    truncated = {f for s in accepted.values() for f in s.truncated_files if not params.root}
    expected = {f: hashes[f] for f in locations if f in hashes and f not in truncated}
    with new_folder(workspace / layout.RAW) as raw:
        sources = dict(accepted)
        if params.sample is not None:
            generate(raw, params.sample)
            sources |= SAMPLE_SOURCES
        _fetch_files(
            locations,
            expected if params.verify else {},
            raw,
            workspace / DOWNLOADS,
            params.retries,
        )
        files = sorted(p.relative_to(raw).as_posix() for p in raw.rglob("*") if p.is_file())
        digests = {file: sha256(raw / file) for file in tqdm(files, desc="hash", unit="file")}
        manifest = {
            "files": {
                file: {"sha256": digest, "bytes": (raw / file).stat().st_size}
                for file, digest in digests.items()
            },
            "sources": {
                name: asdict(source) | _present_files(source, digests, hashes)
                for name, source in sources.items()
            },
            "excluded_sources": excluded,
        }
        write_json(raw / "manifest.json", manifest)
    shutil.rmtree(workspace / DOWNLOADS, ignore_errors=True)


def _present_files(
    source: Source, digests: dict[str, str], hashes: dict[str, str]
) -> dict[str, list[str]]:
    """Return the fetched files of a source, and which files are truncated.

    Args:
        source: the catalog entry.
        digests: sha256 of every fetched file, by path below data/raw.
        hashes: sha256 of the files that the catalog was written for, by path.

    Returns:
        `present_files` and `truncated_files`, lists of paths below data/raw.
    """
    present = [file for file in digests if catalog.matches_any(file, source.files)]
    truncated = [
        file
        for file in present
        if file in source.truncated_files and digests[file] == hashes.get(file)
    ]
    return {"present_files": present, "truncated_files": truncated}


def _locate_files(
    name: str, source: Source, params: FetchParams, hashes: dict[str, str]
) -> dict[str, str]:
    """Return the path or URL of each file of a source, by its path below data/raw.

    Args:
        name: name of the source.
        source: the catalog entry.
        params: root, verification, and the sources that are selected by name.
        hashes: sha256 of the files that the catalog was written for, by path.

    Returns:
        Location by file; empty if the source is to be skipped.

    Raises:
        SourceError: the source has no published address, or a file is missing.
    """
    locations: dict[str, str] = {}
    # An unverified root may lack the files of sources that only a pattern selects.
    optional = bool(params.root) and not params.verify and name not in params.sources
    for pattern, url in source.url_by_pattern.items():
        hashed = [file for file in hashes if catalog.matches_pattern(file, pattern)]
        if not params.root and not url:
            raise SourceError(f"{name} has no published address; set data_pipelines.fetch.root")
        if params.root and not _is_http(params.root):
            files = _list_files(params.root, pattern)
            missing = sorted(set(hashed) - set(files)) if params.verify else []
            if missing:
                raise SourceError(
                    f"{_join(params.root, missing[0])} is missing, but the catalog has its hash; "
                    "fetch it again, or set data_pipelines.fetch.verify: false"
                )
        elif "*" in pattern:
            # HTTP cannot list a folder, so the catalog's hashes name the files.
            files = hashed
        else:
            files = [pattern]
        if not files and pattern in source.additional_files:
            if optional and "*" in pattern:
                continue  # the loader raises SourceError if it needs a missing file
            if optional:
                return {}
            raise SourceError(f"{name}: no file matches {pattern!r} below {params.root}")
        for file in files:
            location = _join(params.root, file) if params.root else _published(url, pattern, file)
            locations[file] = location
    if not any(catalog.matches_any(file, source.files) for file in locations):
        if optional:
            return {}
        where = params.root or source.url
        raise SourceError(f"{name}: no file matches {', '.join(source.files)!r} below {where}")
    return locations


def _join(root: str, file: str) -> str:
    """Return the location of a file below a folder or URL."""
    return f"{root.rstrip('/')}/{file}"


def _published(url: str, pattern: str, file: str) -> str:
    """Return a file's URL; `url` is the address of the folder before the pattern's first `*`."""
    folder = PurePosixPath(pattern.split("*")[0] + "x").parent
    return _join(url, PurePosixPath(file).relative_to(folder).as_posix())


def _is_http(root: str) -> bool:
    return isinstance(fsspec.core.url_to_fs(root)[0], HTTPFileSystem)


def _list_files(root: str, pattern: str) -> list[str]:
    filesystem, base = fsspec.core.url_to_fs(root)
    if not filesystem.isdir(base):
        raise SourceError(
            f"data_pipelines.fetch.root: {root!r} is not a folder; set it to the folder that "
            "contains the source files"
        )
    base = base.rstrip("/")
    paths = filesystem.glob(f"{glob.escape(base)}/{pattern}")
    return sorted(p.removeprefix(base + "/") for p in paths if filesystem.isfile(p))


def _fetch_files(
    locations: dict[str, str], expected: dict[str, str], raw: Path, downloads: Path, retries: int
) -> None:
    """Copy or download files into `raw` and verify them.

    Downloads are stored in `downloads` and moved to `raw` when all downloads are complete, so an
    interrupted fetch resumes.

    Args:
        locations: path or URL by file below `raw`.
        expected: expected sha256 by file.
        raw: folder of the fetched files.
        downloads: folder that outlives an interrupted fetch.
        retries: retries of a failed download.

    Raises:
        SourceError: a file cannot be downloaded, is empty, or does not match its hash.
    """
    local = {file: location for file, location in locations.items() if _is_local(location)}
    remote = {file: location for file, location in locations.items() if file not in local}
    for file, location in tqdm(local.items(), desc="copy", unit="file"):
        source = Path(fsspec.core.url_to_fs(location)[1])
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, raw / file)
        _verify(raw / file, location, expected.get(file))
    with tqdm(desc="download", unit="B", total=0, disable=not remote) as bar:
        for file, location in remote.items():
            bar.set_postfix_str(file)
            before = int(bar.n)

            def show_progress(num_bytes: int, size: int, before: int = before) -> None:
                bar.total = before + max(num_bytes, size)
                bar.update(before + num_bytes - bar.n)

            download(location, downloads / file, retries=retries, on_progress=show_progress)
            try:
                _verify(downloads / file, location, expected.get(file))
            except SourceError:
                (downloads / file).unlink()  # otherwise the next run treats it as complete
                raise
    for file in remote:
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(downloads / file, raw / file)


def _is_local(location: str) -> bool:
    return isinstance(fsspec.core.url_to_fs(location)[0], LocalFileSystem)


def _verify(path: Path, location: str, expected: str | None) -> None:
    """Raise SourceError if a file is empty or does not have the expected sha256."""
    if path.stat().st_size == 0:
        raise SourceError(f"{location} is empty; fetch it again")
    digest = sha256(path) if expected else None
    if digest != expected:
        raise SourceError(
            f"{location} has sha256 {digest}, but the catalog has {expected}: it is truncated or "
            "was modified; fetch it again, or set data_pipelines.fetch.verify: false if the "
            "change is intended"
        )
