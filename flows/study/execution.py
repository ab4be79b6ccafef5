"""Run the trainings and evaluations of a study, workspace by workspace.

Nothing is registered: the models of a study answer a question and are no candidates for promotion.
A registered version would join the frontier and the tests of the gates, and take space for good.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from flows.runtime.workspace_run import run_in_workspace
from flows.study.expansion import StudyPlan

LAST_STAGE = "evaluate"


def run_study(project: Path, plan: StudyPlan, console: Console) -> None:
    """Run what is missing or changed; a second call continues where the first one ended.

    Args:
        project: the project of the study.
        plan: the expanded study.
        console: where the progress is shown.

    Raises:
        FlowError: a stage failed, or the run was stopped; the line names the stage.
    """
    for workspace in plan.workspaces:
        workspace.folder.mkdir(parents=True, exist_ok=True)
        run_in_workspace(project, workspace.folder, workspace.data, console, targets=(LAST_STAGE,))
