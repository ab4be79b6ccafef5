"""What git and DVC hold: metrics in a clone, and hashes that do not depend on the machine."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.factories import ROOT, Project, copy_of_checkout

pytestmark = [pytest.mark.process, pytest.mark.e2e]
DATA_STAGES = (
    "fetch", "eval_data", "read", "clean", "mix", "validate", "tokenizer", "pack",
)  # fmt: skip


def git(folder, *words):
    """Run git and return its output."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def data_outputs(folder):
    """Return the hash of each output of the data stages in dvc.lock, by stage and path."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {
        stage: {out["path"]: out["md5"] for out in stages[stage]["outs"]} for stage in DATA_STAGES
    }


def test_dvc_metrics_diff_works_in_a_clone(finished_copy, tmp_path):
    """Without DVC's cache: git has the metrics, and what a training took."""
    project, name = finished_copy, "runs/moe_instruct/seed_0/scores.json"
    git(project.folder, "add", "--all")
    git(project.folder, "commit", "--quiet", "--message", "Run")
    added = git(project.folder, "show", "--name-only", "--format=").splitlines()
    run = "runs/moe_instruct/seed_0"
    assert {path for path in added if path.startswith(("runs/moe_instruct", "data"))} == {
        "data/mixture/metrics.json", "data/packed/summary.json", f"{run}/metrics.json",
        f"{run}/live/metrics.json", name, f"{run}/execution.json", f"{run}/speed.json",
    }  # fmt: skip
    scores = json.loads((project.folder / name).read_text())
    (project.folder / name).write_text(json.dumps(scores | {"accuracy": 0.75}))
    git(project.folder, "commit", "--quiet", "--all", "--message", "Run again")
    git(tmp_path, "clone", "--quiet", str(project.folder), "clone")
    compared = Project(tmp_path / "clone").dvc("metrics", "diff", "HEAD~1", "--json")
    assert compared.returncode == 0, compared.stderr
    accuracy = json.loads(compared.stdout)[name]["accuracy"]
    assert (accuracy["old"], accuracy["new"]) == (scores["accuracy"], 0.75)


def test_data_of_the_small_sample_has_the_committed_hashes(finished):
    """The data of the main job is the same on any machine."""
    actual = data_outputs(finished.project.folder)
    expected = yaml.safe_load(Path(__file__).with_name("data_hashes.yaml").read_text())
    assert actual == expected, "the data differs; if it should, the file's new content is:\n" + (
        yaml.safe_dump(actual, sort_keys=False)
    )


@pytest.mark.full
def test_dvc_repro_of_the_data_gives_the_hashes_of_the_committed_lock(tmp_path):
    """The default sample at full size, as in a fresh clone: its data is the same anywhere."""
    project = copy_of_checkout(tmp_path / "project", change_params=None)
    done = project.dvc("repro", "pack", timeout_s=580)
    assert done.returncode == 0, done.stdout + done.stderr
    assert data_outputs(project.folder) == data_outputs(ROOT)
