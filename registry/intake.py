"""Intake of finished runs: records and files, with their checksums verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from registry.consistency import check_consistency
from registry.dataset_record import DatasetRecordSchema, read_dataset_record
from registry.errors import InvalidRecord
from registry.files import sha256
from registry.records import read_evaluation_record, read_run_record, read_speed_record
from registry.schemas import EvaluationRecordSchema, RunRecordSchema
from registry.speed_schema import SpeedSchema


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A run to register: validated records, and the folders of its files."""

    run: RunRecordSchema
    evaluation: EvaluationRecordSchema
    speed: SpeedSchema | None
    """Measured evaluation time per item; None without a measurement of this release."""
    folder: Path
    tokenizer: Path
    dataset: DatasetRecordSchema | None = None
    """What the run was trained on; None if that is not recorded."""

    @property
    def digest(self) -> str:
        """Digest of the result, which makes a second registration a no-op."""
        return result_digest(self.run, self.evaluation)


def find_tokenizer(folder: Path, project: Path) -> Path:
    """Return the folder of a run's tokenizer.

    It is beside the weights (imported ones), in the run's own folder (a registered artifact), in
    data/tokenizer of the workspace that runs/NAME/seed_N lies in (runs/NAME in release 0.1.0), or
    in that of the project.

    Raises:
        InvalidRecord: none of them has the tokenizer of the run record.
    """
    expected = read_run_record(folder / "run.json").tokenizer_sha256
    candidates = (
        folder / "weights",
        folder / "tokenizer",
        *(parent / "data" / "tokenizer" for parent in reversed(folder.resolve().parents[1:3])),
        project / "data" / "tokenizer",
    )
    for candidate in candidates:
        file = candidate / "spiece.model"
        if file.is_file() and sha256(file) == expected:
            return candidate
    raise InvalidRecord(
        f"{folder}: the tokenizer of its run record (SHA-256 {expected[:12]}…) is missing; copy "
        f"its spiece.model to {folder / 'tokenizer'}"
    )


def check_scores(submission: Submission) -> None:
    """Check that the evaluation record of a run follows from its samples.

    Raises:
        InvalidRecord: it does not; the text names the first difference.
    """
    faults = check_consistency(submission.evaluation, submission.folder / "samples.parquet")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InvalidRecord(
            f"{submission.folder / 'evaluation.json'}: {faults[0]}{more}; evaluate the run again"
        )


def result_digest(run: RunRecordSchema, evaluation: EvaluationRecordSchema) -> str:
    """Return the digest of a result: run name, weights, answers and evaluation files."""
    key = [run.name, run.weights_sha256, evaluation.samples_sha256]
    key += sorted(f"{task.task}:{task.file_sha256}" for task in evaluation.tasks)
    return hashlib.sha256("\n".join(key).encode()).hexdigest()


def read_submission(folder: Path, tokenizer: Path, *, workspace: Path | None = None) -> Submission:
    """Read a finished run and verify its checksums.

    Args:
        folder: runs/NAME/seed_N, with run.json, evaluation.json, samples.parquet and weights/.
        tokenizer: folder of the workspace's spiece.model; imported weights bring their own.
        workspace: folder of data/, from which the dataset is recorded if it is that of the run;
            None: it is not recorded.

    Raises:
        InvalidRecord: a record or file is missing, malformed or changed.
    """
    if (folder / "weights" / "spiece.model").is_file():
        tokenizer = folder / "weights"
    run = read_run_record(folder / "run.json")
    evaluation = read_evaluation_record(folder / "evaluation.json")
    if run.weights_sha256 != evaluation.weights_sha256:
        raise InvalidRecord(
            f"{folder}: evaluation.json is of other weights than run.json; evaluate the run again"
        )
    _check_file(folder / "weights" / "model.safetensors", run.weights_sha256)
    _check_file(folder / "samples.parquet", evaluation.samples_sha256)
    _check_file(tokenizer / "spiece.model", run.tokenizer_sha256)
    speed = read_speed_record(folder / "speed.json")
    if speed is not None and speed.weights_sha256 != run.weights_sha256:
        speed = None  # of an earlier training in this folder
    return Submission(
        run=run,
        evaluation=evaluation,
        speed=speed,
        folder=folder,
        tokenizer=tokenizer,
        dataset=None if workspace is None else read_dataset_record(workspace, run),
    )


def read_further_evaluation(
    folder: Path, weights_sha256: str
) -> tuple[EvaluationRecordSchema, SpeedSchema | None]:
    """Read a further evaluation of a registered version, and verify its checksums.

    Args:
        folder: folder with evaluation.json, samples.parquet and, if it was measured, speed.json.
        weights_sha256: checksum of the version's weights.

    Raises:
        InvalidRecord: a record or file is missing, malformed or changed, or of other weights.
    """
    evaluation = read_evaluation_record(folder / "evaluation.json")
    if evaluation.weights_sha256 != weights_sha256:
        raise InvalidRecord(f"{folder}: evaluation.json is of other weights than the version's")
    _check_file(folder / "samples.parquet", evaluation.samples_sha256)
    return evaluation, read_speed_record(folder / "speed.json")


def _check_file(file: Path, expected: str) -> None:
    """Check that a file has the checksum of its record.

    Raises:
        InvalidRecord: it is missing or has another checksum.
    """
    if not file.is_file():
        raise InvalidRecord(f"{file} is missing; restore it with `dvc checkout` or run again")
    if sha256(file) != expected:
        raise InvalidRecord(
            f"{file} does not match the checksum in its record, so it is truncated or changed; "
            "restore it with `dvc checkout`, or delete it and run again"
        )
