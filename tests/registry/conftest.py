"""Both databases, and runs to register."""

import dataclasses
import hashlib

import pytest

from benchmarks.drill_services import create_database
from registry.artifacts.store import ArtifactStore
from registry.intake import read_submission
from registry.session import open_engine
from registry.store import Registry
from tests.registry.factories import (
    dataset,
    evaluation_record,
    run_record,
    task_score,
    write_policy,
    write_run,
)
from tests.registry.release_0_1_0 import copy_release_0_1_0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.process])])
def url(request, tmp_path):
    """Return the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    name = "t" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    return create_database(request.getfixturevalue("postgres"), name)


@pytest.fixture
def registry(url, tmp_path):
    """Open an empty registry on each kind of database."""
    artifacts = ArtifactStore.in_folder(tmp_path / "artifacts")
    return Registry(open_engine(url), artifacts, write_policy(tmp_path))


@pytest.fixture
def submit(tmp_path):
    """Write the folder of a finished run and read it as the pipeline does."""

    def write_and_read(
        name="run",
        accuracy=0.6,
        *,
        flops=1e6,
        file_sha256="b" * 64,
        partial=False,
        record=None,
        run=None,
        **task,
    ):
        folder = tmp_path / f"{name}-{accuracy}-{flops}-{file_sha256[:4]}"
        task = task_score(accuracy=accuracy, file_sha256=file_sha256, **task)
        write_run(
            folder,
            tmp_path / "tokenizer",
            run=run_record(name, flops_per_token=flops, **(run or {})),
            evaluation=evaluation_record(name, [task], partial=partial, **(record or {})),
        )
        submission = read_submission(folder, tmp_path / "tokenizer")
        return dataclasses.replace(submission, dataset=dataset())

    return write_and_read


@pytest.fixture
def old_registry(tmp_path):
    """Copy the registry of release 0.1.0."""
    return copy_release_0_1_0(tmp_path / "old")
