"""Run contexts: a flow without the command line creates its own."""

import subprocess
import sys

import pytest

from flows.errors import InvalidParams, WorkspaceBusy
from flows.runtime.run_context import active_context, active_or_new_context
from flows.runtime.workspace import workspace_lock
from tests.factories import copy_of_checkout

pytestmark = pytest.mark.process


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in which nothing has run, with its own registry."""
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    return copy_of_checkout(tmp_path / "project")


def test_active_or_new_context_creates_a_context_and_locks_the_workspace(project):
    with active_or_new_context(project.folder) as context:
        assert context.params.registry.model == "flan-sample"
        assert context.graph.order.index("fetch") < context.graph.order.index("pack")
        assert "train@moe_base-0" in context.graph.changed
        assert "fetch" in context.graph.dependencies["read"]
        assert not context.display.console.is_terminal
        assert context.registry.versions() == []
        assert active_context(project.folder) is context
        with pytest.raises(WorkspaceBusy, match="--workspace"), workspace_lock(project.folder):
            pass
        with active_or_new_context(project.folder) as inner:
            assert inner is context
        sleeper = context.processes.start(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            cwd=project.folder,
            environment={},
            output=subprocess.DEVNULL,
        )
    assert sleeper.wait(30) != 0  # all processes of the run end with it
    with workspace_lock(project.folder):
        pass


def test_active_or_new_context_with_invalid_params_is_rejected(project):
    params = project.params()
    params["flows"]["retrys"] = 1
    project.write_params(params)
    with (
        pytest.raises(InvalidParams, match="did you mean 'retries'"),
        active_or_new_context(project.folder),
    ):
        pass
