"""Checkpoints on disk: rejected, damaged, retained."""

import json
import shutil

import pytest

from models.errors import CheckpointFailed, CorruptCheckpoint, DataMismatch
from models.training.checkpoint import Checkpointer
from models.training.params import CheckpointParams, OptimParams
from tests.models.training.factories import build_corpus, build_trainer

# manifest.json as release 0.1.0 wrote it, with its parameter names.
MANIFEST_0_1_0 = """{
 "about": {"git_commit": "7b511a6", "processes": 1},
 "contents": {
  "data version": "0123456789abcdef",
  "model": {"d_model": 64, "moe": {"balance_loss": 0.01, "every": 2, "k": 1, "num_experts": 4}},
  "run": {"data": "train", "preset": "tiny_switch", "seed": 0, "start": "scratch", "steps": 300,
          "tasks": []},
  "start weights": "",
  "training": {"accumulate": 1, "batch_rows": 16, "dropout": 0.0,
               "optim": {"clip": 1.0, "decay_share": 0.4, "lr": 0.002, "name": "adamw"}}
 },
 "files": {"state.json": "00"},
 "loss": null,
 "step": 200
}"""


def test_load_other_fingerprint_is_rejected_with_both_values(tmp_path):
    fingerprint = {"training": {"optim": {"lr": 0.1}}, "data": "a"}
    build_trainer(tmp_path, steps=4, fingerprint=fingerprint).fit()  # leaves step 3
    other = {"training": {"optim": {"lr": 0.2}}, "data": "a"}
    message = r"training\.optim\.lr is 0\.1 in the checkpoint, 0\.2 now; restore them to resume"
    with pytest.raises(DataMismatch, match=message):
        build_trainer(tmp_path, steps=4, fingerprint=other).fit()
    result = build_trainer(tmp_path, steps=4, fingerprint=fingerprint).fit()
    assert result.progress.resumed_from_step == 3


def test_list_checkpoint_of_release_0_1_0_is_rejected_with_what_to_do(tmp_path):
    folder = tmp_path / "step-00000200"
    folder.mkdir()
    (folder / "manifest.json").write_text(MANIFEST_0_1_0)
    message = "step-00000200: checkpoint format 1 is unsupported, expected 3; delete .* to restart"
    with pytest.raises(DataMismatch, match=message) as caught:
        build_trainer(tmp_path).fit()
    assert "\n" not in str(caught.value)


def test_list_checkpoint_that_is_being_deleted_is_ignored(tmp_path):
    """A checkpoint is renamed before it is deleted, and keeps its manifest until then."""
    build_trainer(tmp_path, steps=8).fit()
    checkpointer = Checkpointer(tmp_path, CheckpointParams())
    before = [checkpoint.step for checkpoint in checkpointer.list()]
    shutil.copytree(tmp_path / "step-00000006", tmp_path / "step-00000009.partial")
    assert [checkpoint.step for checkpoint in checkpointer.list()] == before


@pytest.mark.parametrize("damage", ["truncated", "missing", "manifest", "state"])
def test_load_damaged_checkpoint_is_named_and_the_previous_is_usable(tmp_path, damage):
    build_trainer(tmp_path, steps=8).fit()
    last = tmp_path / "step-00000006"
    (file,) = last.glob("*.safetensors")
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "missing":
        file.unlink()
    elif damage == "state":
        (last / "state.json").write_text("{}")
    else:
        (last / "manifest.json").write_text("{")
    message = r"step-00000006.*; delete .*step-00000006 to resume from step-00000003"
    with pytest.raises(CorruptCheckpoint, match=message):
        build_trainer(tmp_path, steps=8).fit()
    shutil.rmtree(last)
    assert build_trainer(tmp_path, steps=8).fit().progress.resumed_from_step == 3


def test_save_writes_no_pickle(tmp_path):
    build_trainer(tmp_path, steps=4).fit()
    assert {path.suffix for path in tmp_path.glob("step-*/*")} == {".json", ".safetensors"}


def test_save_retains_the_last_and_the_best_checkpoints(tmp_path):
    trainer = build_trainer(
        tmp_path,
        steps=12,
        validation=build_corpus(4, seed=9),
        validate_every=2,
        validate_rows=4,
        optim=OptimParams(lr=0.3),
        checkpoint=CheckpointParams(save_every=2, keep_last=2),
    )
    result = trainer.fit()
    checkpoints = trainer.checkpointer.list()
    losses_on_disk = [c.loss for c in checkpoints if c.loss]
    all_losses = [line["validation_loss"] for line in result.log_lines if line["validation_loss"]]
    assert [c.step for c in checkpoints][-2:] == [10, 12]
    assert trainer.checkpointer.best().loss == min(losses_on_disk)
    assert trainer.checkpointer.best().loss == min(all_losses)
    assert not list(tmp_path.glob("*.partial"))


def test_checkpointer_unwritable_folder_fails_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointFailed, match=r"file.* could not be written"):
        build_trainer(tmp_path / "file" / "run")


def test_close_with_delete_removes_the_folder(tmp_path):
    trainer = build_trainer(tmp_path / "run", steps=4)
    trainer.fit()
    trainer.checkpointer.close(delete=True)
    assert not (tmp_path / "run").exists()


def test_checkpointer_removes_partial_checkpoints_of_a_killed_process(tmp_path):
    (tmp_path / "step-00000003.partial").mkdir()
    (tmp_path / "step-00000003.partial" / "state.json").write_text(json.dumps({}))
    assert Checkpointer(tmp_path, CheckpointParams()).list() == ()
    assert not list(tmp_path.iterdir())
