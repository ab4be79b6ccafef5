"""Checkpoints of other settings: set aside, reported, taken back, bounded."""

from models.training.set_aside import MAX_SET_ASIDE
from tests.models.training.factories import build_trainer, reproducible_metrics

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


def fingerprint(lr):
    return {"training": {"optim": {"lr": lr}}, "data": "a"}


def fit(folder, lr, steps=4):
    """Train 4 steps with settings that differ by name only; a checkpoint of step 3 remains."""
    return build_trainer(folder, steps=steps, fingerprint=fingerprint(lr)).fit()


def set_aside_folders(folder):
    return sorted(folder.parent.glob(f"{folder.name}.set_aside-*"))


def test_training_with_other_settings_sets_checkpoints_aside_and_starts_anew(tmp_path, capsys):
    folder = tmp_path / "run"
    first = fit(folder, lr=0.1)
    result = fit(folder, lr=0.2)
    assert result.progress.resumed_from_step == 0
    assert reproducible_metrics(result.log_lines) == reproducible_metrics(first.log_lines)
    (aside,) = set_aside_folders(folder)
    assert (aside / "step-00000003" / "manifest.json").is_file()
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert note == (
        f"note: checkpoints of other params were set aside in {aside} (training.optim.lr is 0.1 in "
        "the checkpoint, 0.2 now); training starts anew; the same params as before resume from them"
    )


def test_training_with_the_earlier_settings_resumes_from_the_checkpoints_set_aside(
    tmp_path, capsys
):
    folder = tmp_path / "run"
    fit(folder, lr=0.1)
    fit(folder, lr=0.2)
    result = fit(folder, lr=0.1)
    assert result.progress.resumed_from_step == 3
    assert "training resumes from checkpoints that were set aside" in capsys.readouterr().out
    (aside,) = set_aside_folders(folder)  # those of 0.2
    assert fit(folder, lr=0.2).progress.resumed_from_step == 3
    assert set_aside_folders(folder) != [aside]


def test_training_deletes_the_oldest_checkpoints_set_aside(tmp_path):
    folder = tmp_path / "run"
    for lr in (0.1, 0.2, 0.3, 0.4, 0.5):
        fit(folder, lr)
    assert len(set_aside_folders(folder)) == MAX_SET_ASIDE
    assert fit(folder, lr=0.4).progress.resumed_from_step == 3
    assert fit(folder, lr=0.1).progress.resumed_from_step == 0


def test_training_sets_checkpoints_of_release_0_1_0_aside(tmp_path, capsys):
    folder = tmp_path / "run"
    (folder / "step-00000200").mkdir(parents=True)
    (folder / "step-00000200" / "manifest.json").write_text(MANIFEST_0_1_0)
    assert fit(folder, lr=0.1).progress.resumed_from_step == 0
    assert "(checkpoint format 1, now 3)" in capsys.readouterr().out
