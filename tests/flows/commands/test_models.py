"""`flanmoe models`: presets, dense matches, import, export and upcycling of checkpoints."""

import json

import pytest
import torch
from safetensors.torch import load_file

from models.architecture.t5 import T5
from models.presets import preset
from models.weights import save_weights
from tests.factories import ROOT, invoke


def flanmoe(*words):
    return invoke(*words, cwd=ROOT)


def test_models_json_has_published_sizes():
    rows = json.loads(flanmoe("models", "--json").stdout)
    size_by_name = {row["name"]: row["total_parameters"] for row in rows}
    assert round(size_by_name["st_32b"] / 1e9, 1) == 269.1


def test_models_table_lists_routers_and_memory():
    shown = flanmoe("models").stdout
    line = next(row for row in shown.splitlines() if row.startswith("ec_base"))
    assert "expert_choice, st_moe" in line
    assert "3.82 B" in line
    assert "adafactor" in shown


def test_match_lists_dense_models_of_equal_cost():
    report = json.loads(flanmoe("models", "match", "st_base", "--json").stdout)
    assert report["model"]["name"] == "st_base"
    assert min(abs(dense["ratio"] - 1) for dense in report["dense"]) < 0.01
    assert "st_base without experts, d_ff 3072" in flanmoe("models", "match", "st_base").stdout
    rejected = flanmoe("models", "match", "st_bas")
    assert rejected.returncode == 1
    assert "did you mean 'st_base'" in rejected.stderr


@pytest.mark.e2e
def test_export_and_import_return_the_same_tensors(finished, tmp_path):
    weights = finished.project.folder / "runs/moe_instruct/weights"
    exported = flanmoe("models", "export", weights, tmp_path / "hf")
    assert exported.returncode == 0, exported.stderr
    assert "capacity factors" in exported.stderr
    imported = flanmoe("models", "import", tmp_path / "hf", tmp_path / "back")
    assert imported.returncode == 0, imported.stderr
    assert "switch, 8 experts" in imported.stdout
    before, after = (load_file(f / "model.safetensors") for f in (weights, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_upcycle_copies_the_dense_layer_to_every_expert(tmp_path):
    dense = T5(preset("tiny_dense")).reset_parameters(0)
    save_weights(tmp_path / "dense", dense, "")
    done = flanmoe("models", "upcycle", tmp_path / "dense", "tiny_gs", tmp_path / "moe")
    assert done.returncode == 0, done.stderr
    assert "gshard, 8 experts" in done.stdout
    upcycled = load_file(tmp_path / "moe/model.safetensors")
    dense_wi = dense.state_dict()["encoder.blocks.1.feed_forward.wi"]
    for expert in upcycled["encoder.blocks.1.feed_forward.experts.wi_EDF"]:
        assert torch.equal(expert, dense_wi.t())


@pytest.mark.e2e
def test_models_bad_folder_is_rejected(finished, tmp_path):
    weights = finished.project.folder / "runs/moe_instruct/weights"
    for words in (
        ("import", tmp_path, tmp_path / "x"),
        ("export", tmp_path, tmp_path / "x"),
        ("upcycle", weights, "tiny_gs", tmp_path / "x"),
    ):
        rejected = flanmoe("models", *words)
        assert rejected.returncode == 1
        assert rejected.stderr.startswith("error: ")
        assert rejected.stderr.count("\n") == 1
        assert not (tmp_path / "x").exists()
