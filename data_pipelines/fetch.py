"""Stage `fetch`: bring every source into data/raw, and pin each file by its hash."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.errors import SourceError
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import FetchParams
from data_pipelines.sources.sample.generate import generate


def run(params: FetchParams, workspace: Path) -> None:
    """Fills data/raw and its manifest.json (file -> sha256, bytes).

    Raises SourceError when a named file is missing or differs from its pin.
    """
    pins = _read_pins(Path(params.pins)) if params.pins else {}
    with new_folder(workspace / layout.RAW) as raw:
        if params.sample is not None:
            generate(raw, params.sample)
        for folder, pattern in params.files.items():
            _copy(Path(params.root), pattern, raw / folder, pins)
        files = sorted(path for path in raw.rglob("*") if path.is_file())
        manifest = {
            path.relative_to(raw).as_posix(): {
                "sha256": sha256(path),
                "bytes": path.stat().st_size,
            }
            for path in tqdm(files, desc="hash", unit="file")
        }
        write_json(raw / "manifest.json", manifest)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(root: Path, pattern: str, target: Path, pins: dict[str, str]) -> None:
    if not root.is_dir():
        raise SourceError(
            f"data_pipelines.fetch.root is {str(root)!r}: there is no such folder; "
            "set it to where the source files lie"
        )
    sources = sorted(path for path in root.glob(pattern) if path.is_file())
    pinned = [name for name in pins if Path(name).match(pattern)]
    missing = sorted(set(pinned) - {path.relative_to(root).as_posix() for path in sources})
    if missing:
        raise SourceError(f"{root / missing[0]} is missing: the pins list it, fetch it again")
    if not sources:
        raise SourceError(f"no file matches {pattern!r} below {root}")
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        name = source.relative_to(root).as_posix()
        if source.stat().st_size == 0:
            raise SourceError(f"{source} is empty; fetch it again")
        shutil.copyfile(source, target / source.name)
        expected = pins.get(name)
        found = sha256(target / source.name) if expected else None
        if expected and found != expected:
            raise SourceError(
                f"{source} has sha256 {found}, the pin says {expected}: it was cut or changed; "
                "fetch it again, or update the pins if the change is meant"
            )


def _read_pins(path: Path) -> dict[str, str]:
    """A file as `sha256sum` writes it: hash, two spaces, name relative to the root."""
    if not path.is_file():
        raise SourceError(f"data_pipelines.fetch.pins is {str(path)!r}: there is no such file")
    pins = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        digest, _, name = line.strip().partition("  ")
        if not line.strip():
            continue
        if len(digest) != 64 or not name:
            raise SourceError(f"{path}, line {number}: not a line of sha256sum")
        pins[name] = digest
    return pins
