"""The runs of a study end with their evaluations, one workspace after the other."""

import pytest
from rich.console import Console

from flows.errors import StageFailed
from flows.study import execution
from flows.study.execution import run_study
from flows.study.expansion import plan_study
from tests.flows.study.factories import study, study_project, write_study


@pytest.fixture
def plan(tmp_path):
    """Return a study with two variants."""
    folder = study_project(tmp_path / "project").folder
    write_study(folder, study(variants={"first": {}, "second": {}}))
    return plan_study(folder, "small")


def test_run_study_runs_every_workspace_up_to_the_evaluations(plan, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        execution, "run_in_workspace", lambda *args, **options: calls.append((args, options))
    )
    console = Console()
    run_study(tmp_path, plan, console)
    first, second = plan.workspaces
    assert calls == [
        ((tmp_path, workspace.folder, workspace.data, console), {"targets": ("evaluate",)})
        for workspace in (first, second)
    ]
    assert first.folder.is_dir()


def test_run_study_failed_stage_ends_the_run(plan, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise StageFailed("train@moe_base-1: killed by SIGKILL")

    monkeypatch.setattr(execution, "run_in_workspace", fail)
    with pytest.raises(StageFailed, match="train@moe_base-1"):
        run_study(tmp_path, plan, Console())
    assert not plan.workspaces[1].folder.exists()
