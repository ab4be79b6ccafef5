"""Data versions: a folder with the outputs of the data stages, or a git revision with a dvc.lock.

The outputs of a git revision are read from the DVC cache, or from the DVC remote if one is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from data_pipelines import layout
from data_pipelines.errors import DataError

COMPARED_OUTPUTS = (
    layout.RAW / "manifest.json",
    layout.RECORDS / "report.json",
    layout.RECORDS / "quarantine.parquet",
    layout.MIXTURE / "report.json",
    layout.MIXTURE / "examples",
    layout.MIXTURE / "text",
    layout.TOKENIZER / "tokenizer.json",
    layout.PACKED / "train" / "manifest.json",
)
"""Files and folders that a comparison reads."""
OPTIONAL_OUTPUT = layout.MIXTURE / "text"
"""An empty folder, which DVC does not store, if the mixture has no plain text."""


@contextmanager
def open_version(name: str, project: Path) -> Iterator[Path]:
    """Yield a folder with the outputs of a data version below `data/`, as in a workspace.

    Args:
        name: a workspace folder, its folder `data`, or a git revision of the project.
        project: folder with the git repository, dvc.yaml and dvc.lock.

    Raises:
        DataError: the name is neither, or an output is not in the folder, cache or remote.
    """
    folder = Path(name)
    if folder.is_dir():
        workspace = folder if (folder / "data").is_dir() else folder.resolve().parent
        _check_outputs(workspace, name)
        yield workspace
        return
    with TemporaryDirectory(prefix="flanmoe-data-") as temporary:
        workspace = Path(temporary)
        _copy_revision(name, project, workspace)
        yield workspace


def _check_outputs(workspace: Path, name: str) -> None:
    missing = [output for output in COMPARED_OUTPUTS if not (workspace / output).exists()]
    if missing:
        raise DataError(
            f"{name}: {missing[0]} is missing, so it is not a data version; run `flanmoe run` or "
            "`dvc checkout` there"
        )


def _copy_revision(revision: str, project: Path, workspace: Path) -> None:
    """Copy the compared outputs of a git revision to a folder."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError, resolve_rev
    from dvc_data.index import DataIndexError

    try:
        with Repo(str(project)) as repo:
            commit = resolve_rev(repo.scm, revision)
    except (DvcException, SCMError):
        raise DataError(
            f"{revision}: it is neither a folder nor a git revision of {project}"
        ) from None
    files = DVCFileSystem(str(project), rev=commit)
    for output in COMPARED_OUTPUTS:
        target = workspace / output
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            files.get(output.as_posix(), str(target), recursive=True)
        except (OSError, DvcException, DataIndexError):
            pass  # reported below
        if output == OPTIONAL_OUTPUT:
            target.mkdir(exist_ok=True)
        if not target.exists():
            raise DataError(
                f"{revision}: {output} is not in the DVC cache, or not in dvc.lock of that "
                "revision; check the revision out and run `dvc fetch` or `flanmoe run`"
            )
