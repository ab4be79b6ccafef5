"""What is on disk: refused, damaged, kept, averaged."""

import pytest
import torch

from models.errors import CheckpointFailed, CorruptCheckpoint, DataMismatch
from models.training.params import CheckpointParams, OptimParams
from tests.models.training.made import corpus, same, trainer, weights


def test_a_checkpoint_of_another_run_is_refused_with_both_values(tmp_path):
    params = {"training": {"optim": {"lr": 0.1}}, "data": "a"}
    trainer(tmp_path, steps=4, contents=params).fit()  # leaves the checkpoint of step 3
    other = {"training": {"optim": {"lr": 0.2}}, "data": "a"}
    with pytest.raises(DataMismatch, match=r"training\.optim\.lr is 0\.1 there, 0\.2 now"):
        trainer(tmp_path, steps=4, contents=other).fit()
    assert trainer(tmp_path, steps=4, contents=params).fit().resumed_from == 3


@pytest.mark.parametrize("damage", ["cut", "gone", "garbled index", "state"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_can_be_used(tmp_path, damage):
    trainer(tmp_path, steps=8).fit()
    last = tmp_path / "step-00000006"
    (file,) = last.glob("*.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "gone":
        file.unlink()
    elif damage == "state":
        (last / "state.json").write_text("{}")
    else:
        (last / "manifest.json").write_text("{")
    told = r"step-00000006.*; delete .*step-00000006 to continue from step-00000003"
    with pytest.raises(CorruptCheckpoint, match=told):
        trainer(tmp_path, steps=8).fit()
    import shutil

    shutil.rmtree(last)
    assert trainer(tmp_path, steps=8).fit().resumed_from == 3


def test_checkpoints_hold_no_pickle(tmp_path):
    trainer(tmp_path, steps=4).fit()
    assert {path.suffix for path in tmp_path.glob("step-*/*")} == {".json", ".safetensors"}


def test_the_last_and_the_best_checkpoints_are_kept(tmp_path):
    keep = {"checkpoint": CheckpointParams(save_every=2, keep_last=2), "validate_every": 2}
    made = trainer(tmp_path, steps=12, validate_rows=4, optim=OptimParams(lr=0.3), **keep)
    made.validation = corpus(4, seed=9)
    made.fit()
    made.checkpoints.wait()
    saved = made.checkpoints.saved()
    losses = {s.step: s.loss for s in saved}
    told = {line["step"]: line["validation_loss"] for line in made.live.lines}
    best = min((loss, step) for step, loss in told.items() if loss)[0]
    assert [s.step for s in saved][-2:] == [10, 12]
    assert made.checkpoints.best().loss == min(loss for loss in losses.values() if loss)
    assert made.checkpoints.best().loss == best
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_can_end_with_its_best_or_averaged_weights(tmp_path):
    keep = {"validate_every": 2, "validate_rows": 4}
    seen = {}

    def made(final):
        checkpoint = CheckpointParams(save_every=2, keep_last=3, final_weights=final)
        one = trainer(tmp_path / final, steps=8, checkpoint=checkpoint, **keep)
        one.validation = corpus(4, seed=9)
        return one

    last = made("last")
    last.fit(on_step=lambda step: seen.update({step: weights(last.model)}))
    averaged, best = made("average"), made("best")
    averaged.fit()
    best.fit()
    stacked = 0
    for name, weight in averaged.model.state_dict().items():
        mean = torch.stack([seen[step][name].double() for step in (4, 6, 8)]).mean(0)
        torch.testing.assert_close(weight.double(), mean, atol=1e-7, rtol=1e-6)
        stacked += name.endswith("wi_EDF")
    assert stacked == 2  # experts are averaged as they lie
    same(weights(best.model), seen[best.checkpoints.best().step])


def test_an_unwritable_folder_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointFailed, match=r"file.* could not be written"):
        trainer(tmp_path / "file" / "run").fit()
