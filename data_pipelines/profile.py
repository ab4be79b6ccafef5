"""Profile of the training data: shares, lengths and answers, to compare data versions by."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_pipelines import layout
from data_pipelines.database import open_database, read_parquet
from data_pipelines.errors import DataError
from data_pipelines.files import write_json
from data_pipelines.stage_outputs import read_stage_json

MEMORY_MB = 1024
MAX_LABELS = 20
"""A task with more different answers has no labels."""
_PROFILE = ConfigDict(extra="forbid", frozen=True)


class LengthProfile(BaseModel):
    """Lengths of prompts or targets, in characters."""

    model_config = _PROFILE

    mean: float
    variance: float


class MixtureProfile(BaseModel):
    """The training examples of one mixture."""

    model_config = _PROFILE

    num_examples: int
    inputs: LengthProfile
    targets: LengthProfile


class DataProfile(BaseModel):
    """The training examples of a data version."""

    model_config = _PROFILE

    schema_version: Literal[1] = 1
    data_version: str
    """Version of the packed training data."""
    mixtures: dict[str, MixtureProfile]
    labels: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Examples by answer, for each task with answer options and at most MAX_LABELS answers."""

    @property
    def num_examples(self) -> int:
        """Training examples of all mixtures."""
        return sum(mixture.num_examples for mixture in self.mixtures.values())


def profile_data(workspace: Path) -> DataProfile:
    """Compute the profile of a workspace's training data.

    Raises:
        DataError: the data stages have not run.
    """
    manifest = read_stage_json(workspace / layout.PACKED / "train" / "manifest.json", "run")
    folder = workspace / layout.MIXTURE / "examples"
    if not any(folder.glob("*.parquet")):
        raise DataError(f"{folder} has no examples; run `flanmoe mix`")
    rows = f"SELECT * FROM {read_parquet(folder / '*.parquet')} WHERE split = 'train'"
    with (
        TemporaryDirectory(prefix="flanmoe-profile-") as scratch,
        open_database(Path(scratch), MEMORY_MB) as connection,
    ):
        mixtures = connection.execute(
            f"""
            SELECT mixture, count(*), avg(length(inputs)), var_pop(length(inputs)),
                   avg(length(targets)), var_pop(length(targets))
            FROM ({rows}) GROUP BY mixture ORDER BY mixture
            """
        ).fetchall()
        labels = connection.execute(
            f"""
            SELECT task, targets, count(*) FROM ({rows}) WHERE len(options) > 0
            GROUP BY task, targets
            QUALIFY count(*) OVER (PARTITION BY task) <= {MAX_LABELS}
            ORDER BY task, targets
            """
        ).fetchall()
    labels_by_task: dict[str, dict[str, int]] = {}
    for task, label, count in labels:
        labels_by_task.setdefault(task, {})[label] = count
    return DataProfile(
        data_version=manifest["version"],
        mixtures={
            name: MixtureProfile(
                num_examples=count,
                inputs=LengthProfile(mean=lengths[0], variance=lengths[1]),
                targets=LengthProfile(mean=lengths[2], variance=lengths[3]),
            )
            for name, count, *lengths in mixtures
        },
        labels=labels_by_task,
    )


def write_profile(path: Path, profile: DataProfile) -> None:
    """Write a profile as JSON, atomically."""
    write_json(path, profile.model_dump())


def read_profile(path: Path) -> DataProfile:
    """Read a profile.

    Raises:
        DataError: the file is missing or malformed.
    """
    try:
        return DataProfile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the deployment data_refresh") from None
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"]))
        raise DataError(f"{path}: {key}: {detail['msg']}; delete the file") from None
