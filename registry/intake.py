"""What a run hands the registry: its records, checked, and the files they speak of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.errors import InvalidRecord

Record = TypeVar("Record", bound=BaseModel)


class RunRecord(BaseModel):
    """runs/NAME/run.json, schema 1. Fields not named here are kept as they are."""

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1]
    name: str = Field(min_length=1)
    preset: str
    tuned: bool
    seed: int
    params: dict[str, Any]
    model: dict[str, Any]
    total_parameters: int = Field(gt=0)
    active_parameters: int = Field(gt=0)
    flops_per_token: float = Field(gt=0)
    training_flops: float = Field(ge=0)
    training_seconds: float = Field(ge=0)
    losses: dict[str, float]
    router_health: dict[str, Any]
    git_commit: str
    data_version: str
    data_hashes: dict[str, str]
    sequence: dict[str, int]
    """Lengths the model was trained at: encoder_length, decoder_length."""
    tokenizer_sha256: str
    weights_sha256: str


class TaskScore(BaseModel):
    """One task of an evaluation record."""

    model_config = ConfigDict(extra="allow")

    task: str
    suite: str
    version: int
    n: int = Field(gt=0)
    contaminated: int | None = Field(default=None, ge=0)
    """Items that the training mixture overlaps with; None in records from before it was counted."""
    accuracy: float = Field(ge=0, le=1)
    error: float = Field(ge=0)
    random_score: float = Field(ge=0, lt=1)
    file_sha256: str


class EvaluationRecord(BaseModel):
    """runs/NAME/evaluation.json, schema 1."""

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1]
    name: str
    accuracy: float = Field(ge=0, le=1)
    error: float = Field(ge=0)
    chance: float = Field(ge=0, lt=1)
    normalised: float
    partial: bool
    items: int = Field(gt=0)
    flops_per_item: float | None = Field(default=None, gt=0)
    seconds_per_item: float | None = Field(default=None, gt=0)
    """Measured, from speed.json; None where it was not."""
    tasks: list[TaskScore] = Field(min_length=1)
    weights_sha256: str
    samples_sha256: str


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A run's checked records and where its files lie."""

    run: RunRecord
    evaluation: EvaluationRecord
    folder: Path
    tokenizer: Path

    @property
    def digest(self) -> str:
        """Names this very result: the weights and the answers they gave."""
        key = [self.run.name, self.run.weights_sha256, self.evaluation.samples_sha256]
        key += sorted(f"{task.task}:{task.file_sha256}" for task in self.evaluation.tasks)
        return hashlib.sha256("\n".join(key).encode()).hexdigest()


def read_submission(folder: Path, tokenizer: Path) -> Submission:
    """Raises InvalidRecord when a record or a file is missing, malformed or changed."""
    run = _read(folder / "run.json", RunRecord)
    evaluation = _read(folder / "evaluation.json", EvaluationRecord)
    if run.weights_sha256 != evaluation.weights_sha256:
        raise InvalidRecord(
            f"{folder}: the evaluation is of other weights than the run; evaluate it again"
        )
    for file, expected in (
        (folder / "weights" / "model.safetensors", run.weights_sha256),
        (folder / "samples.parquet", evaluation.samples_sha256),
        (tokenizer / "spiece.model", run.tokenizer_sha256),
    ):
        if not file.is_file():
            raise InvalidRecord(f"{file} is missing; restore it with `dvc checkout` or run again")
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != expected:
            raise InvalidRecord(
                f"{file} does not match the checksum in its record: it was cut or changed; "
                "restore it with `dvc checkout`, or delete it and run again"
            )
    evaluation.seconds_per_item = _seconds(folder / "speed.json")
    return Submission(run=run, evaluation=evaluation, folder=folder, tokenizer=tokenizer)


def _seconds(path: Path) -> float | None:
    """Time an item took; it is no part of the record, which is the same each time."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["seconds_per_item"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRecord(f"{path} cannot be read ({error}); run `flanmoe run`") from None
    return None if value is None else float(value)


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing; run `flanmoe run`") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRecord(f"{path}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise InvalidRecord(f"{path} is not JSON: {error}") from None
