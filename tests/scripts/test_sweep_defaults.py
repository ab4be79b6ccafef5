"""`scripts/sweep_defaults` on small corpora: every point once, and the best of each preset."""

import json
import os
import runpy
import subprocess
import sys

import pytest
import yaml

from tests.factories import ROOT
from tests.models.stages.test_train import workspace  # noqa: F401

pytestmark = pytest.mark.process
GRID = """
grid:
  tiny_dense: {lr: [0.01, 0.1]}
  tiny_switch: {lr: [0.01], load_balance_loss_weight: [0.0, 0.01]}
steps: {prefix_lm: 2, train: 2}
seed: 3
"""


def sweep(folder):
    """Run the script in a process; return its result."""
    command = [sys.executable, ROOT / "scripts/sweep_defaults", "--json", "out/sweep.json"]
    return subprocess.run(
        [*command, "--grid", "grid.yaml"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def sweep_here(folder, monkeypatch):
    """Run the script in this process, which has imported torch."""
    script = str(ROOT / "scripts/sweep_defaults")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [script, "--json", "out/sweep.json", "--grid", "grid.yaml"])
    runpy.run_path(script, run_name="__main__")


def test_sweep_defaults_trains_every_point_once_and_marks_the_best(
    workspace,  # noqa: F811
    monkeypatch,
    capsys,
):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["training"] |= {"global_batch_size": 2}
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    (workspace / "grid.yaml").write_text(GRID)
    done = sweep(workspace)
    assert done.returncode == 0, done.stderr
    results = json.loads((workspace / "out/sweep.json").read_text())["results"]
    assert [result["point"] for result in results] == [
        {"preset": "tiny_dense", "lr": 0.01},
        {"preset": "tiny_dense", "lr": 0.1},
        {"preset": "tiny_switch", "lr": 0.01, "load_balance_loss_weight": 0.0},
        {"preset": "tiny_switch", "lr": 0.01, "load_balance_loss_weight": 0.01},
    ]
    assert len({result["validation_loss"] for result in results}) == 4
    table = (workspace / "out/sweep.md").read_text()
    assert table == done.stdout
    chosen = [line for line in table.splitlines() if "yes" in line]
    best = min(results[:2], key=lambda result: result["validation_loss"])
    assert len(chosen) == 2
    assert f"{best['validation_loss']:.4f}" in chosen[0]
    # A second call trains nothing; one with other settings does not mix the results.
    sweep_here(workspace, monkeypatch)
    assert capsys.readouterr().out == table
    assert json.loads((workspace / "out/sweep.json").read_text())["results"] == results
    (workspace / "grid.yaml").write_text(GRID.replace("train: 2", "train: 3"))
    with pytest.raises(SystemExit, match="steps is of another sweep; remove the file to start"):
        sweep_here(workspace, monkeypatch)
