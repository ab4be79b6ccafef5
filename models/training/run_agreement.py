"""What all machines of a run must have in common: settings, code, data, packages, one folder."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from pathlib import Path

from data_pipelines.files import sha256
from models.training.agreement import digest_code, require_same_run, require_shared_folder
from models.training.distributed import DistributedContext
from models.training.params import RunParams, TrainingParams

PACKAGES = ("torch", "numpy", "pyarrow", "safetensors")
"""Packages whose versions the result can depend on."""
_ROOT = Path(__file__).parents[2]
_HASH_LENGTH = 12


def require_agreement(
    dist: DistributedContext,
    *,
    name: str,
    run: RunParams,
    training: TrainingParams,
    data_version: str,
    start: Path | None,
    folder: Path,
) -> None:
    """Check that all machines train the same run, in one folder; a collective call.

    Args:
        dist: the ranks that train together.
        name: name of the run, with its seed.
        run: the run's parameters.
        training: the settings of its training.
        data_version: version of its packed corpus.
        start: folder of the initial weights; None for random ones.
        folder: the folder of checkpoints, which all machines must share.

    Raises:
        RanksDisagree: parameters, code, data, initial weights, packages or folders differ.
    """
    if dist.world_size == 1:
        return
    weights = "random" if start is None else sha256(start / "model.safetensors")[:_HASH_LENGTH]
    require_same_run(
        dist,
        {
            "run": {"name": name, **dataclasses.asdict(run)},
            "models.training": dataclasses.asdict(training),
            "code": digest_code([_ROOT / "models", _ROOT / "data_pipelines"])[:_HASH_LENGTH],
            "data": data_version,
            "initial weights": weights,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    )
    require_shared_folder(dist, folder)
