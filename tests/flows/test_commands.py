"""predict and registry on a finished project."""

import json
import subprocess
import sys


def test_predict_answers(finished):
    done = finished.project.call("predict", "Give the first word of the list. tiger horse")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.endswith("\n")


def test_registry_list_json(finished):
    versions = json.loads(finished.project.call("registry", "list", "--json").stdout)
    assert [version["name"] for version in versions] == ["moe_base", "moe_instruct"]
    for version in versions:
        assert version["total_parameters"] > version["active_parameters"] > 0
        assert version["flops_per_token"] > 0
        assert 0 <= version["accuracy"] <= 1
        assert version["error"] >= 0
        assert version["run_record"]["schema_version"] == 1
    assert sorted(v["stage"] for v in versions) == ["candidate", "champion"]


def test_registry_in_words(finished):
    listed = finished.project.call("registry", "list").stdout
    assert "moe_instruct" in listed
    assert "champion" in listed
    shown = finished.project.call("registry", "show", "2").stdout
    assert "sample/qa_what" in shown
    changes = finished.project.call("registry", "history").stdout
    assert "all gates passed" in changes


def test_promote_against_the_gates(finished_copy):
    versions = json.loads(finished_copy.call("registry", "list", "--json").stdout)
    other = next(v["version"] for v in versions if v["stage"] == "candidate")
    refused = finished_copy.call("registry", "promote", str(other))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: version")
    assert refused.stderr.count("\n") == 1
    forced = finished_copy.call("registry", "promote", str(other), "--override", "trying", "--json")
    assert json.loads(forced.stdout)["stage"] == "champion"
    changes = json.loads(finished_copy.call("registry", "history", "--json").stdout)
    assert changes[-1]["reason"] == "override: trying"


def test_training_in_two_processes(finished_copy):
    """torchrun starts them, fairscale shards the optimizer state over them."""
    params = finished_copy.params()
    params["models"]["training"]["processes"] = 2
    finished_copy.write_params(params)
    done = finished_copy.call("train", "moe_instruct")
    assert done.returncode == 0, done.stderr
    record = json.loads((finished_copy.folder / "runs/moe_instruct/run.json").read_text())
    assert record["processes"] == 2
    alone = json.loads((finished_copy.folder / "runs/moe_base/run.json").read_text())
    assert record["losses"]["validation_loss"] < alone["losses"]["validation_loss"]


def test_models_lists_published_sizes():
    command = [sys.executable, "-m", "flows", "models", "--json"]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    sizes = {row["name"]: row for row in rows}
    assert round(sizes["st_32b"]["total_parameters"] / 1e9, 1) == 269.1


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom flows.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'prefect', 'pandas', 'dvc', 'sqlalchemy', 'streamlit', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the main job" in done.stdout
