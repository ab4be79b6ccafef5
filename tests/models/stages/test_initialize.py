"""The stage `initialize`: hashes on which the training of each seed depends."""

import json

import pytest

from data_pipelines.files import sha256
from models.errors import UnknownModel
from models.replicate import Replicate
from models.stages import initialize
from models.training.params import RunParams


def write_weights(folder, text):
    """Write the files of some weights."""
    for name in ("model.safetensors", "optimizer/state.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text} {name}")


def initial_hashes(workspace, start, seeds):
    """Run the stage and return the content of its files, by name."""
    initialize.run("tuned", RunParams(preset="tiny_dense", start=start), seeds, workspace)
    folder = workspace / "runs" / "tuned" / "initial"
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.iterdir())}


def test_initialize_from_scratch_has_no_hashes(tmp_path):
    assert initial_hashes(tmp_path, "scratch", (0, 3)) == {"seed_0.json": {}, "seed_3.json": {}}


def test_initialize_from_a_run_has_the_hashes_of_the_same_seed(tmp_path):
    for seed in (0, 1):
        file = tmp_path / Replicate("base", seed).weights_hashes
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"model.safetensors": f"hash {seed}"}))
    assert initial_hashes(tmp_path, "base", (1, 0)) == {
        "seed_0.json": {"model.safetensors": "hash 0"},
        "seed_1.json": {"model.safetensors": "hash 1"},
    }
    # A seed that was removed from params.yaml has no file any more.
    assert list(initial_hashes(tmp_path, "base", (1,))) == ["seed_1.json"]


def test_initialize_from_imported_weights_has_their_hashes_for_every_seed(tmp_path):
    imported = tmp_path / "elsewhere" / "weights"
    write_weights(imported, "imported")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "t5").symlink_to(imported.parent)
    hashes = initial_hashes(tmp_path, "t5", (0, 1))
    assert hashes["seed_0.json"] == hashes["seed_1.json"]
    assert hashes["seed_0.json"] == {
        name: sha256(imported / name)
        for name in ("model.safetensors", "optimizer/state.safetensors")
    }


def test_initialize_without_weights_names_the_folder_and_the_commands(tmp_path):
    with pytest.raises(
        UnknownModel, match="base/weights is missing: train base-2 first, or import"
    ):
        initial_hashes(tmp_path, "base", (2,))
