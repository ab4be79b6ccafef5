"""Artifacts of registered versions, stored by digest so that later training cannot change them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import URL

from registry.intake import Submission


def artifact_store(project: Path, url: URL, configured: str) -> Path:
    """Return the folder of all artifacts.

    Args:
        project: the project's root.
        url: URL of the registry's database.
        configured: `registry.artifacts` of params.yaml; empty: beside the SQLite file, or
            .flanmoe/artifacts for a database server.
    """
    if configured:
        return (project / configured).resolve()
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).resolve().parent / "artifacts"
    return (project / ".flanmoe" / "artifacts").resolve()


def store_artifacts(submission: Submission, store: Path) -> Path:
    """Copy weights, tokenizer and records into the store and return their folder."""
    target = store / submission.digest[:32]
    if target.is_dir():
        return target
    store.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=store))
    # The state of the optimizer is for further training only.
    shutil.copytree(
        submission.folder / "weights",
        partial / "weights",
        ignore=shutil.ignore_patterns("optimizer"),
    )
    (partial / "tokenizer").mkdir()
    for name in ("spiece.model", "tokenizer.json"):
        if (submission.tokenizer / name).is_file():
            shutil.copyfile(submission.tokenizer / name, partial / "tokenizer" / name)
    for name in ("run.json", "evaluation.json", "samples.parquet"):
        shutil.copyfile(submission.folder / name, partial / name)
    try:
        os.rename(partial, target)
    except OSError:
        # Another process stored the same version first; the digest says that its files are equal.
        shutil.rmtree(partial)
    return target
