"""`flanmoe models`: presets, dense matches, import, export and upcycling of checkpoints."""

import json
import re

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


def regimes_forward_flops(experts):
    """Compute the forward FLOPs of a packed row of the tiny models, product by product."""
    d, inner, d_ff, vocabulary, layers, encoder, decoder = 32, 32, 64, 832, 2, 64, 24
    projections = 4 * encoder * d * inner + (6 * decoder + 2 * encoder) * d * inner
    scores = 2 * inner * (encoder**2 + decoder**2 + decoder * encoder)
    feed_forward = 2 * (encoder + decoder) * d * d_ff
    # One layer of each stack has a router.
    routing = (encoder + decoder) * d * experts
    return 2 * (layers * (projections + scores + feed_forward) + routing + decoder * d * vocabulary)


def test_models_runs_of_the_regimes_have_the_cost_of_their_chains():
    shown = json.loads(
        flanmoe("models", "runs", "--params", "params.regimes.yaml", "--json").stdout
    )
    cost_by_run = {row["name"]: row["cumulative_training_flops"] for row in shown["runs"]}
    own_by_run = {row["name"]: row["training_flops"] for row in shown["runs"]}
    rows_by_run = {"base": 1500 * 64, "instruct": 3000 * 64, "then_task": 3100 * 64}
    for name, rows in rows_by_run.items():
        assert cost_by_run[f"dense_{name}"] == 3 * rows * regimes_forward_flops(0)
    assert cost_by_run["moe_instruct"] == 3 * 3000 * 64 * regimes_forward_flops(16)
    assert round(cost_by_run["dense_then_task"] / 1e12, 2) == 3.85
    assert round(own_by_run["dense_then_task"] / 1e12, 2) == 0.12
    upcycled = cost_by_run["moe_upcycled"] - own_by_run["moe_upcycled"]
    assert upcycled == own_by_run["dense_base"]


def test_models_runs_without_packed_data_name_the_assumed_vocabulary():
    for words in (("models",), ("models", "runs")):
        shown = flanmoe(*words).stdout
        assert "Vocabulary: assumed from data_pipelines.tokenizer.vocab_size, 832" in shown
    line = next(row for row in shown.splitlines() if row.startswith("dense_base "))
    assert "832  94.7 k  94.7 k" in line


def test_models_runs_have_the_vocabulary_of_the_packed_data(tmp_path):
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    manifest = tmp_path / "data/packed/train/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(
        json.dumps({"vocab_size": 601, "encoder_length": 128, "decoder_length": 48})
    )
    shown = invoke("models", cwd=tmp_path).stdout
    line = next(row for row in shown.splitlines() if row.startswith("dense_base "))
    assert "640  82.4 k  82.4 k" in line
    assert "assumed" not in shown
    (tmp_path / "params.yaml").write_text("models: {}")
    assert "params.yaml has errors" in invoke("models", cwd=tmp_path).stdout


def test_models_outside_of_a_project_list_the_presets_only(tmp_path):
    shown = invoke("models", cwd=tmp_path).stdout
    assert "st_32b" in shown
    assert "start chain" not in shown


@pytest.mark.e2e
def test_models_runs_and_the_registry_have_the_same_sizes_and_costs(finished):
    project = finished.project
    rows = json.loads(project.invoke("models", "runs", "--json").stdout)["runs"]
    versions = json.loads(project.invoke("registry", "list", "--json").stdout)
    assert {row["name"] for row in rows} == {version["name"] for version in versions}
    for row in rows:
        (version,) = [version for version in versions if version["name"] == row["name"]]
        for key in ("total_parameters", "active_parameters", "flops_per_token", "training_flops",
                    "cumulative_training_flops"):  # fmt: skip
            assert row[key] == version[key], (row["name"], key)


def test_show_lists_every_convention_with_its_source():
    output = flanmoe("models", "show", "ec_base").stdout
    assert re.search(r"moe.decoder_router +st_moe +google/flaxformer", output)
    assert re.search(r"moe.load_balance_loss_weight +0.0 ", output)
    rows = json.loads(flanmoe("models", "show", "switch_base", "--json").stdout)
    values = {row["field"]: row["value"] for row in rows}
    assert (values["moe.top_k"], values["moe.group_tokens"]) == (1, 8192)


def test_recipe_lists_its_settings_with_their_sources():
    output = flanmoe("models", "recipe", "flan_moe").stdout
    assert re.search(r"optim.lr +0.0001 +Shen et al., arXiv 2305.14705; not confirmed", output)
    assert "flan_t5" not in output
    rejected = flanmoe("models", "recipe", "flan_t6")
    assert rejected.returncode == 1
    assert "did you mean 'flan_t5'" in rejected.stderr


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
    weights = finished.project.folder / "runs/moe_instruct/seed_0/weights"
    exported = flanmoe("models", "export", weights, tmp_path / "hf")
    assert exported.returncode == 0, exported.stderr
    assert "capacity factors" in exported.stderr
    imported = flanmoe("models", "import", tmp_path / "hf", tmp_path / "back")
    assert imported.returncode == 0, imported.stderr
    assert "switch, 16 experts" in imported.stdout
    before, after = (load_file(f / "model.safetensors") for f in (weights, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_upcycle_copies_the_dense_layer_to_every_expert(tmp_path):
    dense = T5(preset("tiny_dense")).reset_parameters(0)
    save_weights(tmp_path / "dense", dense, "")
    done = flanmoe("models", "upcycle", tmp_path / "dense", "tiny_gs", tmp_path / "moe")
    assert done.returncode == 0, done.stderr
    assert "gshard, 16 experts" in done.stdout
    upcycled = load_file(tmp_path / "moe/model.safetensors")
    dense_wi = dense.state_dict()["encoder.blocks.1.feed_forward.wi"]
    for expert in upcycled["encoder.blocks.1.feed_forward.experts.wi_EDF"]:
        assert torch.equal(expert, dense_wi.t())


@pytest.mark.e2e
def test_models_bad_folder_is_rejected(finished, tmp_path):
    weights = finished.project.folder / "runs/moe_instruct/seed_0/weights"
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
