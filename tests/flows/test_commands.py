"""predict and registry on a finished project."""

import json
import subprocess
import sys

import torch
from safetensors.torch import load_file

from models.architecture.t5 import T5
from models.presets import preset
from models.weights import save_weights


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


def flanmoe(*words):
    command = [sys.executable, "-m", "flows", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_models_in_words():
    shown = flanmoe("models").stdout
    line = next(row for row in shown.splitlines() if row.startswith("ec_base"))
    assert "expert_choice, st_moe" in line
    assert "3.82 B" in line
    assert "adafactor" in shown


def test_models_match():
    found = json.loads(flanmoe("models", "match", "st_base", "--json").stdout)
    assert found["model"]["name"] == "st_base"
    assert min(abs(dense["ratio"] - 1) for dense in found["dense"]) < 0.01
    assert "st_base without experts, d_ff 3072" in flanmoe("models", "match", "st_base").stdout
    refused = flanmoe("models", "match", "st_bas")
    assert refused.returncode == 1
    assert "did you mean 'st_base'" in refused.stderr


def test_models_out_to_transformers_and_back(finished, tmp_path):
    weights = finished.project.folder / "runs/moe_instruct/weights"
    done = flanmoe("models", "export", weights, tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert "capacity factors" in done.stderr
    back = flanmoe("models", "import", tmp_path / "hf", tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert "switch, 8 experts" in back.stdout
    one, two = (load_file(f / "model.safetensors") for f in (weights, tmp_path / "back"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_models_upcycle(tmp_path):
    dense = T5(preset("tiny_dense")).reset_parameters(0)
    save_weights(tmp_path / "dense", dense, "")
    done = flanmoe("models", "upcycle", tmp_path / "dense", "tiny_gs", tmp_path / "moe")
    assert done.returncode == 0, done.stderr
    assert "gshard, 8 experts" in done.stdout
    made = load_file(tmp_path / "moe/model.safetensors")
    for expert in made["encoder.blocks.1.feed_forward.experts.wi_EDF"]:
        assert torch.equal(expert, dense.state_dict()["encoder.blocks.1.feed_forward.wi"].t())


def test_models_refuse_in_one_line(finished, tmp_path):
    weights = finished.project.folder / "runs/moe_instruct/weights"
    for words, told in (
        (("import", tmp_path, tmp_path / "x"), "holds no config.json"),
        (("export", tmp_path, tmp_path / "x"), "holds no trained model"),
        (("upcycle", weights, "tiny_gs", tmp_path / "x"), "from a dense one"),
    ):
        refused = flanmoe("models", *words)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: ")
        assert told in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert not (tmp_path / "x").exists()


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom flows.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'prefect', 'pandas', 'dvc', 'sqlalchemy', 'streamlit', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the main job" in done.stdout
