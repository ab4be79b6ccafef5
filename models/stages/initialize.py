"""Stage `initialize`: for each seed of a run, write the hashes of its initial weights.

Writes runs/NAME/initial/seed_N.json. In dvc.yaml the training of a seed depends on its file alone,
so it runs again when the weights that it starts from change, and not when a seed is added. (A stage
for each run and seed cannot name the start of the run: DVC's templates do not nest.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.files import new_folder, write_json
from models import layout
from models.errors import UnknownModel
from models.replicate import Replicate
from models.training.initialization import start_folder
from models.training.params import SCRATCH, RunParams
from models.weights import hash_weights


def run(name: str, run_params: RunParams, seeds: Sequence[int], workspace: Path) -> None:
    """Write the hashes of the initial weights of every seed.

    Args:
        name: name of the run.
        run_params: its parameters, which name its start.
        seeds: seeds of all runs.
        workspace: folder with runs/.

    Raises:
        UnknownModel: the start has no weights for a seed.
    """
    with new_folder(workspace / layout.RUNS / name / "initial") as folder:
        for seed in seeds:
            hashes = _initial_hashes(run_params, seed, workspace)
            write_json(folder / Replicate(name, seed).initial_hashes.name, hashes)


def _initial_hashes(run_params: RunParams, seed: int, workspace: Path) -> dict[str, str]:
    """Return the hash of each file of the initial weights; none for random weights."""
    if run_params.start == SCRATCH:
        return {}
    start = Replicate(run_params.start, seed)
    if (workspace / start.weights_hashes).is_file():
        text = (workspace / start.weights_hashes).read_text(encoding="utf-8")
        hashes: dict[str, str] = json.loads(text)
        return hashes
    folder = start_folder(run_params, seed, workspace)
    if not folder.is_dir():
        raise UnknownModel(
            f"{folder} is missing: train {start.label} first, or import weights with `flanmoe "
            f"models import FOLDER {folder}`"
        )
    return hash_weights(folder)
