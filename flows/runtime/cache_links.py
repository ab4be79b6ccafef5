"""DVC caches of project and workspaces: separate folders that share content by hard links.

Each folder has a DVC cache of its own, so `dvc gc` in any of them deletes its own links only; the
content remains for the others and takes space once. Run caches, from which DVC restores a stage
that ran before with the same inputs, are shared in the same way.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEFAULT_CACHE = Path(".dvc/cache")


@contextmanager
def shared_cache(project: Path, workspace: Path) -> Iterator[None]:
    """Link the project's cache into the workspace's before the block, and back after it.

    Nothing happens for the project itself, or where the two are on different file systems.
    """
    if workspace == project:
        yield
        return
    own, shared = workspace / DEFAULT_CACHE, cache_folder(project)
    if own.is_symlink():  # of an earlier release: the project's cache itself
        own.unlink()
    link_content(shared, own)
    yield
    link_content(own, shared)


def cache_folder(repository: Path) -> Path:
    """Return the folder of a repository's DVC cache, which its configuration may have moved."""
    from dvc.repo import Repo

    with Repo(str(repository)) as repo:
        return Path(repo.cache.local.path).parent.parent  # without files/md5


def link_content(source: Path, target: Path) -> None:
    """Hard-link every complete file below `source` that `target` lacks.

    Raises:
        OSError: a folder cannot be written.
    """
    for folder, _, names in os.walk(source):
        destination = target / Path(folder).relative_to(source)
        destination.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in destination.iterdir()}
        for name in names:
            if name in present or name.startswith("."):  # DVC's files in progress
                continue
            try:
                # Another run may link the same file, or garbage collection delete it.
                with suppress(FileExistsError, FileNotFoundError):
                    os.link(Path(folder) / name, destination / name)
            except OSError as error:
                if error.errno == errno.EXDEV:  # another file system: nothing is shared
                    return
                raise
