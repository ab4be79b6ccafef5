"""`flanmoe compare`: what the names A and B stand for."""

import json
import shutil

import pytest
import yaml

from tests.factories import ROOT, error_line, invoke
from tests.registry.factories import evaluation_record, run_record, task_score, write_run

SEEDS = (0, 1, 10)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A workspace with runs of three seeds, and one whose seeds have the same imported weights."""
    folder = tmp_path_factory.mktemp("workspace")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["seeds"] = list(SEEDS)
    run = {"preset": "tiny_dense", "start": "scratch", "steps": 10}
    params["models"]["runs"] = dict.fromkeys(("dense", "moe", "imported"), run)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name, is_moe in (("dense", False), ("moe", True), ("imported", False)):
        for seed in SEEDS:
            accuracy = 0.5 if name == "imported" else 0.5 + is_moe / 10 + seed / 100
            write_run(
                folder / "runs" / name / f"seed_{seed}",
                folder / "tokenizer",
                run=run_record(name, is_moe=is_moe, seed=seed),
                evaluation=evaluation_record(name, [task_score(accuracy=accuracy)]),
            )
    return folder


@pytest.fixture
def workspace(results, tmp_path):
    """A copy of the workspace that a test may change."""
    return shutil.copytree(results, tmp_path / "workspace")


def compare(workspace, *names):
    return invoke("compare", *names, "--json", "--workspace", workspace, cwd=ROOT)


def difference(workspace, *names):
    """Return the difference of accuracy of the only suite."""
    shown = compare(workspace, *names)
    assert shown.returncode == 0, shown.stderr
    (suite,) = json.loads(shown.stdout)["suites"]
    return suite["difference"]


def test_compare_runs_pairs_their_seeds(results):
    shown = compare(results, "moe", "dense")
    assert shown.returncode == 0, shown.stderr
    (suite,) = json.loads(shown.stdout)["suites"]
    assert suite["difference"] == pytest.approx(0.1)
    assert suite["basis"].startswith("3 seeds")
    text = invoke("compare", "moe", "dense", "--workspace", results, cwd=ROOT).stdout
    assert "moe (3 seeds) and dense (3 seeds) are partners" in text


def test_compare_name_and_seed_is_a_single_result(results):
    assert difference(results, "moe-1", "dense-1") == pytest.approx(0.1)
    assert difference(results, "moe-10", "moe-0") == pytest.approx(0.1)


def test_compare_folder_of_a_result_is_a_single_result(results):
    folders = [str(results / "runs" / name / "seed_1") for name in ("moe", "dense")]
    assert difference(results, *folders) == pytest.approx(0.1)


def test_compare_seeds_of_the_same_weights_count_once(results):
    """Imported weights that were not trained have no seed."""
    assert difference(results, "moe-0", "imported") == pytest.approx(0.1)


def test_compare_run_has_the_seeds_of_params_yaml(workspace):
    """A seed that was removed keeps its files; one that was added is missing."""
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["models"]["seeds"] = [1]
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    assert difference(workspace, "moe", "dense-0") == pytest.approx(0.11)
    params["models"]["seeds"] = [1, 2]
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    line = error_line(compare(workspace, "moe", "dense-0"))
    assert "runs/moe/seed_2/run.json is missing: train and evaluate moe-2 first" in line


@pytest.mark.parametrize("name", ["mo", "moe-7"])
def test_compare_unknown_name_lists_the_runs(results, name):
    line = error_line(compare(results, name, "dense-0"))
    assert f"'{name}' is not a run of" in line
    assert line.endswith("runs: dense, imported, moe")
