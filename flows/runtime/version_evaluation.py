"""Evaluation of a registered version on the present evaluation data of a workspace.

The stage `evaluate` scores the runs of a workspace. A registered version has only its artifact, so
a temporary folder is laid out as a workspace of its own: the artifact's weights and tokenizer, and
links to the workspace's evaluation data.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import StageFailed, StageInterrupted
from flows.runtime.processes import ProcessGroups
from flows.runtime.workspace import STATE
from models.evaluation.params import EvaluationParams
from models.replicate import Replicate
from registry.dataset_record import has_data_version
from registry.store import Registry
from registry.versions import VersionInfo

FOLDER = STATE / "evaluations"
_EVAL_DATA = Path("data/eval_data")
_TRAINING_DATA = (Path("data/mixture"), Path("data/validation"), Path("data/packed"))


def evaluate_version(
    registry: Registry,
    model: str,
    number: int,
    params: EvaluationParams,
    workspace: Path,
    processes: ProcessGroups,
) -> VersionInfo:
    """Evaluate a version on the workspace's evaluation data, and register the result.

    Args:
        registry: the registry of the version.
        model: the registered model.
        number: the version.
        params: how to evaluate: `models.evaluation` of the workspace.
        workspace: folder of data/eval_data.
        processes: starts the evaluation, so that Ctrl-C ends it.

    Returns:
        The version with its new evaluation.

    Raises:
        StageFailed: data/eval_data is missing, or the evaluation failed.
        StageInterrupted: the run was stopped.
        MissingArtifact: the store does not have the weights.
        DamagedArtifact: the weights do not match their checksum.
    """
    name = f"evaluation of version {number} of {model!r}"
    if not (workspace / _EVAL_DATA).is_dir():
        raise StageFailed(f"{name}: {workspace / _EVAL_DATA} is missing; run `flanmoe eval_data`")
    info = registry.show(model, number)
    with _as_workspace(registry, info, params, workspace) as folder:
        process = processes.start(
            [sys.executable, "-m", "flows.runtime.evaluation_process", str(folder)],
            cwd=folder,
            environment={},
            output=subprocess.PIPE,
        )
        if process is None:
            raise StageInterrupted(f"{name} was not started")
        output = process.communicate()[0].decode("utf-8", "replace")
        processes.discard(process)
        if processes.stopping.is_set():
            raise StageInterrupted(f"{name} was stopped")
        if process.returncode:
            lines = [line for line in output.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("error: ")]
            reason = (errors or lines or [f"ended with code {process.returncode}"])[-1]
            raise StageFailed(f"{name}: {reason.removeprefix('error: ')}")
        return registry.add_evaluation(model, number, folder / _replicate(info).folder)


def _replicate(info: VersionInfo) -> Replicate:
    return Replicate(info.name, info.run_record.seed)


@contextmanager
def _as_workspace(
    registry: Registry, info: VersionInfo, params: EvaluationParams, workspace: Path
) -> Iterator[Path]:
    """Yield a folder with a version's weights and a workspace's data, as the stage expects them."""
    (workspace / FOLDER).mkdir(parents=True, exist_ok=True)
    artifact = registry.model_folder(info)
    with tempfile.TemporaryDirectory(prefix=f"v{info.version}-", dir=workspace / FOLDER) as name:
        folder = Path(name)
        run = folder / _replicate(info).folder
        run.mkdir(parents=True)
        (folder / "data").mkdir()
        (run / "weights").symlink_to(artifact / "weights")
        (folder / "data" / "tokenizer").symlink_to(artifact / "tokenizer")
        links = [_EVAL_DATA]
        is_data_known = has_data_version(workspace, info.run_record)
        if is_data_known:
            links += _TRAINING_DATA
        for link in links:
            (folder / link).symlink_to((workspace / link).resolve())
        job = {
            "run": info.name,
            "seed": info.run_record.seed,
            "params": dataclasses.asdict(params),
            "is_data_known": is_data_known,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        yield folder
