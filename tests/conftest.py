"""Fixtures for tests of the project as its users meet it."""

from dataclasses import dataclass

import pytest
from filelock import FileLock

from tests.factories import Project, copy_of_checkout


@dataclass
class FinishedRun:
    """A project after its main job, and what the job printed."""

    project: Project
    output: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Run the main job once for all tests that only read its results.

    The first of several pytest processes that needs it runs it; the others wait.
    """
    temporary = tmp_path_factory.getbasetemp()
    folder = (temporary if worker_id == "master" else temporary.parent) / "finished"
    output = folder / "output"
    with FileLock(f"{folder}.lock"):
        if not output.is_file():
            project = copy_of_checkout(folder / "project")
            done = project.call("run")
            assert done.returncode == 0, done.stdout + done.stderr
            output.write_text(done.stdout)
    return FinishedRun(Project(folder / "project"), output.read_text())


@pytest.fixture
def fresh_project(tmp_path):
    """A project in which nothing has run."""
    return copy_of_checkout(tmp_path / "project")


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished project that a test may change."""
    return finished.project.copy(tmp_path / "project")
