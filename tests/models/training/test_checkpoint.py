"""Checkpoints on disk: rejected, damaged, retained."""

import json
import re
import shutil

import pytest

from models.errors import CheckpointFailed, CorruptCheckpoint
from models.training.checkpoint import Checkpointer
from models.training.checkpoint_files import verify_checkpoint
from models.training.params import CheckpointParams, OptimParams
from tests.models.training.factories import build_corpus, build_trainer, reproducible_metrics


def test_list_checkpoint_that_is_being_deleted_is_ignored(tmp_path):
    """A checkpoint is renamed before it is deleted, and keeps its manifest until then."""
    trainer = build_trainer(tmp_path, steps=8)
    trainer.fit()
    checkpointer = trainer.checkpointer
    before = [checkpoint.step for checkpoint in checkpointer.list()]
    shutil.copytree(tmp_path / "step-00000006", tmp_path / "step-00000009.partial")
    assert [checkpoint.step for checkpoint in checkpointer.list()] == before


def damage_checkpoint(folder, damage):
    """Damage a file of a checkpoint, in one of DAMAGES."""
    (file,) = folder.glob("*.safetensors")
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "missing":
        file.unlink()
    elif damage == "state":
        (folder / "state.json").write_text("{}")
    else:
        (folder / "manifest.json").write_text("{")


DAMAGES = ("truncated", "missing", "manifest", "state")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_set_aside_for_the_previous(tmp_path, capsys, damage):
    undisturbed = build_trainer(tmp_path / "a", steps=8).fit()
    build_trainer(tmp_path / "b", steps=8).fit()
    damage_checkpoint(tmp_path / "b" / "step-00000006", damage)
    result = build_trainer(tmp_path / "b", steps=8).fit()
    assert result.progress.resumed_from_step == 3
    output = capsys.readouterr()
    assert re.search(
        r"warning: .*step-00000006/.* is unusable: .*; resuming from step-00000003, the damaged "
        r"checkpoint is now step-00000006\.damaged",
        output.out + output.err,
    )
    assert (tmp_path / "b" / "step-00000006.damaged").is_dir()
    logs = (reproducible_metrics(run.log_lines) for run in (result, undisturbed))
    assert next(logs) == next(logs)
    verify_checkpoint(tmp_path / "b" / "step-00000006")  # written again


@pytest.mark.parametrize("damage", DAMAGES)
def test_run_whose_checkpoints_are_all_damaged_names_the_newest(tmp_path, damage):
    build_trainer(tmp_path, steps=8).fit()
    for folder in tmp_path.glob("step-*"):
        damage_checkpoint(folder, damage)
    message = r"step-00000006.*; delete .*step-00000006 to resume from step-00000003"
    with pytest.raises(CorruptCheckpoint, match=message):
        build_trainer(tmp_path, steps=8).fit()


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
