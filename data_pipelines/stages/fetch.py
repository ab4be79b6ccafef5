"""Stage `fetch`: copy or download every source into data/raw and record the hash of each file.

Each file has the same path below data/raw as in the catalog. Also writes data/raw/manifest.json:
the hash and size of every file, every source with its files and licence, every selected source
that was omitted, and with `verify` the files without a hash.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from data_pipelines import catalog, layout
from data_pipelines.errors import SourceError
from data_pipelines.files import new_folder, sha256, write_json
from data_pipelines.params import FetchParams
from data_pipelines.progress import progress_bar
from data_pipelines.sources.download import download
from data_pipelines.sources.location import FilesMissing, SourceLocator
from data_pipelines.sources.omissions import OmittedSource, describe_omissions
from data_pipelines.sources.sample.generate import SOURCES as SAMPLE_SOURCES
from data_pipelines.sources.sample.generate import generate
from data_pipelines.sources.source import Source

logger = logging.getLogger(__name__)

DOWNLOADS = Path(".flanmoe/downloads")
"""Downloads of an interrupted fetch, relative to the workspace."""


def run(params: FetchParams, workspace: Path) -> None:
    """Write data/raw.

    Raises:
        SourceError: the catalog is invalid, no source has accepted terms or files, or a file is
            missing, empty, cannot be downloaded, or does not match its hash.
    """
    catalog_path = catalog.resolve_path(params.catalog)
    known = catalog.load(catalog_path) if params.sources else {}
    selected = catalog.select_sources(known, params.sources)
    accepted = {n: s for n, s in selected.items() if s.terms in params.licences}
    omitted = {
        name: OmittedSource(
            reason=f"its licence is {source.licence} ({source.terms}), which "
            "data_pipelines.fetch.licences does not accept"
        )
        for name, source in selected.items()
        if name not in accepted
    }
    if not accepted and params.sample is None:
        raise SourceError(
            f"data_pipelines.fetch.licences excludes every source: {', '.join(omitted)}; accept "
            "further terms or name other sources"
        )
    hashes = catalog.load_hashes(catalog_path)
    locator = SourceLocator(params, known, hashes)
    locations_by_source: dict[str, dict[str, str]] = {}
    for name, source in accepted.items():
        try:
            locations_by_source[name] = locator.locate(name, source)
        except FilesMissing as error:
            omitted[name] = OmittedSource(
                reason=f"no file matches {', '.join(error.patterns)} below {params.root}",
                similar_files=tuple(locator.similar_files(error.patterns)),
            )
    accepted = {name: accepted[name] for name in locations_by_source}
    if not accepted and params.sample is None:
        raise SourceError(
            f"data_pipelines.fetch.root: {params.root!r} contains no file of the selected sources; "
            + next(source.describe(name) for name, source in omitted.items())
        )
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
        digests = {
            file: sha256(raw / file) for file in progress_bar(files, desc="hash", unit="file")
        }
        manifest = {
            "files": {
                file: {"sha256": digest, "bytes": (raw / file).stat().st_size}
                for file, digest in digests.items()
            },
            "sources": {
                name: asdict(source) | _list_files(source, digests, hashes)
                for name, source in sources.items()
            },
            "omitted_sources": {name: asdict(source) for name, source in omitted.items()},
            "unverified_files": sorted(set(locations) - set(expected)) if params.verify else [],
        }
        write_json(raw / "manifest.json", manifest)
    for line in describe_omissions(manifest):
        logger.warning("%s", line)
    shutil.rmtree(workspace / DOWNLOADS, ignore_errors=True)


def _list_files(
    source: Source, digests: dict[str, str], hashes: dict[str, str]
) -> dict[str, list[str]]:
    """Return the fetched files of a source, and which files are truncated or missing.

    Args:
        source: the catalog entry.
        digests: sha256 of every fetched file, by path below data/raw.
        hashes: sha256 of the files that the catalog was written for, by path.

    Returns:
        `present_files`, `truncated_files` and `missing_files`: paths below data/raw. A missing
        file has a hash and was not fetched.
    """
    present = [file for file in digests if catalog.matches_any(file, source.files)]
    truncated = [
        file
        for file in present
        if file in source.truncated_files and digests[file] == hashes.get(file)
    ]
    missing = [
        file for file in hashes if file not in digests and catalog.matches_any(file, source.files)
    ]
    return {"present_files": present, "truncated_files": truncated, "missing_files": missing}


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
    for file, location in progress_bar(local.items(), desc="copy", unit="file"):
        source = Path(fsspec.core.url_to_fs(location)[1])
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, raw / file)
        _verify(raw / file, location, expected.get(file))
    with progress_bar(desc="download", unit="B", total=0, disable=not remote) as bar:
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
