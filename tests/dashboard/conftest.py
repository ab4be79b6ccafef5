"""A project of two registered versions, of which the instruction-tuned MoE is champion."""

import dataclasses
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
import yaml
from sqlalchemy import event

from dashboard.cached_queries import open_view
from registry.intake import read_submission
from registry.store import Registry
from tests.browser import CHROMIUM, CHROMIUM_OPTIONS
from tests.factories import ROOT, Project
from tests.registry.factories import (
    evaluation_record,
    run_record,
    task_score,
    write_policy,
    write_run,
)


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Restore the main module, which Streamlit replaces: spawned processes would execute it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@dataclass(frozen=True)
class ShownProject:
    """A project folder, to which tests add versions and training logs."""

    folder: Path

    def register(
        self, name, accuracies, *, model="m", run=None, folder="", dataset=None, **evaluation
    ):
        """Register a run with one task per accuracy; `folder` is that of its files."""
        tasks = [
            task_score(f"sample/t{i}", accuracy=accuracy) for i, accuracy in enumerate(accuracies)
        ]
        folder = self.folder / "runs" / (folder or name)
        tokenizer = self.folder / "tokenizer"
        write_run(
            folder,
            tokenizer,
            run=run_record(name, **(run or {})),
            evaluation=evaluation_record(name, tasks, **evaluation),
        )
        submission = read_submission(folder, tokenizer)
        if dataset is not None:
            submission = dataclasses.replace(submission, dataset=dataset)
        return self.open(create=True).register(model, submission)

    def open(self, **options):
        """Open the registry as a command does."""
        return Registry.open(self.folder, **options)

    def command(self, *words, code=0):
        """Run `flanmoe WORDS` in this process; the project's registered model is m."""
        shutil.copy(ROOT / "dvc.yaml", self.folder)
        params = (ROOT / "params.yaml").read_text()
        model = yaml.safe_load(params)["registry"]["model"]
        (self.folder / "params.yaml").write_text(params.replace(f"model: {model}", "model: m"))
        result = Project(self.folder).invoke(*words)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout


@pytest.fixture
def empty_project(tmp_path, monkeypatch):
    """Show a project without a registered version."""
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(tmp_path))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    write_policy(tmp_path, data={"allow_unrecorded": True})
    return ShownProject(tmp_path)


@pytest.fixture
def project(empty_project):
    """Show a project with two versions."""
    return add_two_versions(empty_project)


def add_two_versions(project):
    """Register a dense and an MoE model, of which the MoE model becomes champion."""
    project.register("dense", [0.4, 0.6], run={"tuned": False, "flops_per_token": 1.1e6})
    project.register("moe", [0.6, 0.8], run={"is_moe": True})
    project.open().promote("m", 2, actor="test")
    return project


@pytest.fixture
def statements():
    """Return a context manager that lists the SQL statements of the shown registry."""

    @contextmanager
    def record():
        engine, executed = open_view().registry.engine, []

        def add(_connection, _cursor, statement, *_):
            executed.append(statement)

        event.listen(engine, "before_cursor_execute", add)
        try:
            yield executed
        finally:
            event.remove(engine, "before_cursor_execute", add)

    yield record
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def chromium():
    """Start Chromium once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()
