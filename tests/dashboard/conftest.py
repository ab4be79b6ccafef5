"""A project of two registered versions, of which the instruction-tuned MoE is champion."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.queries import open_registry
from registry.intake import read_submission
from registry.store import Registry
from tests.registry.factories import (
    evaluation_record,
    run_record,
    task_score,
    write_policy,
    write_run,
)


@dataclass(frozen=True)
class ShownProject:
    """A project folder, to which tests add versions and training logs."""

    folder: Path

    def register(self, name, accuracies, *, model="m", run=None, folder="", **evaluation):
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
        registry = Registry.open(self.folder, create=True)
        return registry.register(model, read_submission(folder, tokenizer))


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
    empty_project.register("dense", [0.4, 0.6], run={"tuned": False, "flops_per_token": 1.1e6})
    empty_project.register("moe", [0.6, 0.8], run={"is_moe": True})
    open_registry().promote("m", 2, actor="test")
    return empty_project
