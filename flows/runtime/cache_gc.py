"""Garbage collection of the DVC caches of a project and its workspaces.

`dvc gc -w` in the project deletes the data that registered versions were trained on, unless the
present dvc.lock still names it. This collection protects it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from flows.errors import FlowError, LockRefused
from flows.runtime.cache_links import DEFAULT_CACHE, cache_folder
from flows.runtime.workspace import STATE, WORKSPACES
from registry.store import Registry

PROTECTED = STATE / "protected"
"""A DVC repository whose outputs are the data of the registered versions."""


def collect_garbage(project: Path, registry: Registry, *, dry_run: bool = False) -> str:
    """Delete objects of the caches that nothing uses, and return a summary.

    Args:
        project: the project's root; its workspaces below `.flanmoe/workspaces` are collected, too.
        registry: its registry; the data that its versions were trained on is protected.
        dry_run: whether to delete nothing.

    Raises:
        LockRefused: a stage is running in the project or a workspace.
        FlowError: DVC failed.
    """
    hashes = {
        digest
        for version in registry.versions()
        for digest in version.run_record.data_hashes.values()
    }
    cache = cache_folder(project)
    protected = _write_protected(project, cache, hashes)
    workspaces = sorted(path.parent for path in (project / WORKSPACES).glob("*/.dvc"))
    caches = [cache, *(folder / DEFAULT_CACHE for folder in workspaces)]
    before = _disk_usage(caches)
    _collect(project, [protected], dry_run=dry_run)
    for workspace in workspaces:
        _collect(workspace, [], dry_run=dry_run)
    freed = before - _disk_usage(caches)
    return (
        f"cache: {freed / 2**20:.1f} MiB freed in the project and {len(workspaces)} workspaces; "
        f"{len(hashes)} outputs that registered versions were trained on are protected"
    )


def _collect(repository: Path, protected: list[Path], *, dry_run: bool) -> None:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo(str(repository)) as repo:
            repo.gc(workspace=True, repos=list(map(str, protected)), dry=dry_run)
    except LockError:
        raise LockRefused(f"{repository}: a stage is running; collect later") from None
    except DvcException as error:
        raise FlowError(f"{repository}: dvc gc failed: {' '.join(str(error).split())}") from None


def _write_protected(project: Path, cache: Path, hashes: Iterable[str]) -> Path:
    """Write the repository that DVC reads the protected objects from; return its folder."""
    from dvc.repo import Repo

    folder = project / PROTECTED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    Repo.init(str(folder), no_scm=True).close()
    (folder / DEFAULT_CACHE).symlink_to(cache, target_is_directory=True)
    for digest in sorted(hashes):
        if not (cache / "files" / "md5" / digest[:2] / digest[2:]).is_file():
            continue  # it was deleted, or never in this machine's cache
        name = digest.replace(".", "-")
        out = {"md5": digest, "path": name, "hash": "md5"}
        (folder / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [out]}), encoding="utf-8")
    return folder


def _disk_usage(caches: Iterable[Path]) -> int:
    """Return the bytes of all objects; content that several caches link counts once."""
    size_by_inode: dict[int, int] = {}
    for cache in caches:
        for path in (cache / "files" / "md5").glob("??/*"):
            status = path.stat()
            size_by_inode[status.st_ino] = status.st_size
    return sum(size_by_inode.values())
