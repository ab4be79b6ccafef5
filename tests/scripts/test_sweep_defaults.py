"""`scripts/sweep_defaults` on small corpora: every point once, and the best of each preset."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.factories import ROOT
from tests.models.stages.test_train import write_corpus

pytestmark = pytest.mark.process
GRID = """
grid:
  tiny_dense: {lr: [0.01, 0.1]}
  tiny_switch: {lr: [0.01], load_balance_loss_weight: [0.0, 0.01]}
steps: {prefix_lm: 2, train: 2}
seed: 3
"""


def sweep(folder):
    command = [sys.executable, ROOT / "scripts/sweep_defaults", "--json", "out/sweep.json"]
    return subprocess.run(
        [*command, "--grid", "grid.yaml"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sweep_defaults_trains_every_point_once_and_marks_the_best(tmp_path):
    for name in ("train", "validation", "prefix_lm"):
        write_corpus(tmp_path / "data/packed" / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["training"] |= {"global_batch_size": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "grid.yaml").write_text(GRID)
    done = sweep(tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out/sweep.json").read_text())["results"]
    assert [result["point"] for result in results] == [
        {"preset": "tiny_dense", "lr": 0.01},
        {"preset": "tiny_dense", "lr": 0.1},
        {"preset": "tiny_switch", "lr": 0.01, "load_balance_loss_weight": 0.0},
        {"preset": "tiny_switch", "lr": 0.01, "load_balance_loss_weight": 0.01},
    ]
    assert len({result["validation_loss"] for result in results}) == 4
    table = (tmp_path / "out/sweep.md").read_text()
    assert table == done.stdout
    chosen = [line for line in table.splitlines() if "yes" in line]
    best = min(results[:2], key=lambda result: result["validation_loss"])
    assert len(chosen) == 2
    assert f"{best['validation_loss']:.4f}" in chosen[0]
    # A second call trains nothing; one with other settings does not mix the results.
    assert sweep(tmp_path).stdout == table
    assert json.loads((tmp_path / "out/sweep.json").read_text())["results"] == results
    (tmp_path / "grid.yaml").write_text(GRID.replace("train: 2", "train: 3"))
    other = sweep(tmp_path)
    assert other.returncode == 1
    assert "steps is of another sweep; remove the file to start again" in other.stderr
