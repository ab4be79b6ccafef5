"""Files of registered versions, kept by digest: training again never takes a champion's weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from registry.intake import Submission


def store_folder(root: Path, url: str, configured: str) -> Path:
    """Where artifacts lie: as configured, or beside the SQLite file, or the state folder."""
    if configured:
        return (root / configured).resolve()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return Path(parsed.database).resolve().parent / "artifacts"
    return (root / ".flanmoe" / "artifacts").resolve()


def keep(submission: Submission, store: Path) -> Path:
    """Copies weights, tokenizer and records into the store; returns their folder."""
    target = store / submission.digest[:32]
    if target.is_dir():
        return target
    store.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=store))
    shutil.copytree(submission.folder / "weights", partial / "weights")
    shutil.copytree(submission.tokenizer, partial / "tokenizer")
    for name in ("run.json", "evaluation.json", "samples.parquet"):
        shutil.copyfile(submission.folder / name, partial / name)
    try:
        os.rename(partial, target)
    except OSError:
        # Another process kept the same version first; its files are the same.
        shutil.rmtree(partial)
    return target
