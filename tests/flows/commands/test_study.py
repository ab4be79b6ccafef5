"""`flanmoe study`: what its commands print and write."""

import json

import pytest

from flows.study.expansion import plan_study
from tests.factories import error_line
from tests.flows.study.factories import study, study_project, write_study, write_study_run

TASKS = ("sample_knowledge/a", "sample_rules/b")


@pytest.fixture
def project(tmp_path):
    """Return a project with the study `small`, of small batches."""
    project = study_project(tmp_path / "project")
    training = {"training": {"global_batch_size": 2}}
    suites = {"evaluation": {"suites": ["sample_knowledge", "sample_rules"]}}
    write_study(project.folder, study(overrides={"models": {**training, **suites}}))
    return project


def test_study_list_has_the_questions(project):
    listed = project.invoke("study", "list", "--json")
    assert json.loads(listed.stdout) == {"small": "Do experts help?"}
    assert "Do experts help?" in project.invoke("study", "list").stdout


def test_study_run_dry_run_shows_models_runs_compute_and_time(project):
    result = project.invoke("study", "run", "small", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "moe x 0.978" in result.stdout
    assert "dense_tuned" in result.stdout
    assert "4 runs x 3 seeds: 12 trainings" in result.stdout
    assert "evaluations not included, as none has run here" in result.stdout
    assert not (project.folder / ".flanmoe" / "workspaces").exists()


def test_study_run_unknown_name_suggests_the_nearest(project):
    assert "did you mean 'small'?" in error_line(project.invoke("study", "run", "smal"))
    assert "did you mean 'small'?" in error_line(project.invoke("study", "report", "smal"))


def test_study_run_models_that_cannot_be_matched_are_rejected(project):
    write_study(project.folder, study(models={"moe": {"preset": "tiny_switch"}}, claims={}))
    line = error_line(project.invoke("study", "run", "small", "--dry-run"))
    assert line.startswith("error: studies/small.yaml: models.moe: no dense model has its 46,473")


def test_study_report_writes_files_and_prints_verdicts_and_missing_runs(project):
    workspace = plan_study(project.folder, "small").workspaces[0].folder
    for run, right in (("moe_base", 0), ("dense_base", 0), ("moe_tuned", 35), ("dense_tuned", 5)):
        for seed in (0, 1, 2)[: 2 if run == "dense_base" else 3]:
            scores = [1.0] * (right + seed) + [0.0] * (40 - right - seed)
            write_study_run(workspace, run, seed, dict.fromkeys(TASKS, scores))
    result = project.invoke("study", "report", "small", "--output", "out")
    assert result.returncode == 0, result.stderr
    assert "confirmed: The MoE gains more." in result.stdout
    assert "missing: dense_base-2: not trained yet" in result.stderr
    assert sorted(path.name for path in (project.folder / "out").iterdir()) == [
        "small.html", "small.json", "small.md",
    ]  # fmt: skip
    printed = json.loads(project.invoke("study", "report", "small", "--json").stdout)
    assert printed["variants"][0]["claims"][0]["verdict"] == "confirmed"
    assert printed == json.loads((project.folder / "out" / "small.json").read_text())
