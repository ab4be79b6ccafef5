"""The dataset record: what a registered run was trained on, read from the files of the data stages.

The registry stores it at the registration of the first run of a data version. Later changes of
data/ do not reach it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from registry.errors import InvalidRecord
from registry.schemas import (
    ContaminationSchema,
    OverlapSelfTestSchema,
    RecordSchema,
    RunRecordSchema,
    SourceLicenceSchema,
)

DATASET_SCHEMA_VERSION = 1
_MIXTURE = Path("data/mixture")
_REPORT = _MIXTURE / "report.json"
_CONTAMINATION = _MIXTURE / "contamination.json"
_SELF_TEST = _MIXTURE / "self_test.json"
_VALIDATION = (Path("data/validation/results.json"), Path("data/packed/validation.json"))


class FailedExpectationSchema(RecordSchema):
    """An expectation of the data that failed."""

    suite: str
    expectation: str
    column: str
    limits: str
    observed: str
    blocking: bool
    """Whether the data stages stop at it; otherwise it is a warning."""

    @property
    def text(self) -> str:
        """The expectation in one line, which `data.allowed_warnings` is matched against."""
        limits = f" ({self.limits})" if self.limits else ""
        return f"{self.suite}: {self.expectation} {self.column}{limits}"


class DatasetRecordSchema(RecordSchema):
    """What a run was trained on: a corpus of packed data, and the mixture it was packed from."""

    schema_version: Literal[1] = 1
    data_version: str = Field(min_length=1)
    """Version of the packed corpus."""
    corpus: str
    hashes: dict[str, str]
    """DVC's hash of each output of the data stages, by path."""
    mixture: dict[str, Any]
    """The report of the stage `mix`: shares, examples and repetitions by mixture and task."""
    num_expectations: int = Field(ge=0)
    """Expectations that were checked, of the mixture and of the packed data."""
    failed_expectations: tuple[FailedExpectationSchema, ...]
    contamination: dict[str, ContaminationSchema]
    """Overlap with the evaluation items, by suite."""
    self_test: OverlapSelfTestSchema | None
    licences: tuple[SourceLicenceSchema, ...]


def parse_dataset_record(data: Any, source: str) -> DatasetRecordSchema:
    """Validate a stored dataset record.

    Args:
        data: the JSON value.
        source: where it was read from, for error messages.

    Raises:
        InvalidRecord: the record is malformed or of a newer schema version.
    """
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > DATASET_SCHEMA_VERSION:
        raise InvalidRecord(
            f"{source}: schema_version {version} is newer than {DATASET_SCHEMA_VERSION}, the "
            "newest that this release of flanmoe reads; upgrade flanmoe"
        )
    try:
        return DatasetRecordSchema.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRecord(f"{source}: {field}: {first['msg']}") from None


def read_dataset_record(workspace: Path, run: RunRecordSchema) -> DatasetRecordSchema | None:
    """Read the record of a run's training data from the files of its workspace.

    Args:
        workspace: folder of data/.
        run: the run record. It names the corpus with its version, and the hashes of the data
            stages' outputs if DVC ran them.

    Returns:
        The record; None if the data is not that of the run: no file, another version, or a file
        that changed since the training.

    Raises:
        InvalidRecord: a file is malformed.
    """
    files = (_REPORT, _CONTAMINATION, *_VALIDATION)
    if not has_data_version(workspace, run):
        return None
    if not all((workspace / file).is_file() for file in files):
        return None
    if any(_has_changed(workspace, file, run.data_hashes) for file in (*files, _SELF_TEST)):
        return None
    try:
        content = _collect(workspace, run)
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidRecord(
            f"{workspace / 'data'}: {_MIXTURE}, data/validation or data/packed is not as this "
            f"release writes it ({error}); run `flanmoe run`"
        ) from None
    return parse_dataset_record(content, f"{workspace / 'data'}")


def _collect(workspace: Path, run: RunRecordSchema) -> dict[str, Any]:
    expectations = [entry for file in _VALIDATION for entry in _read_json(workspace / file)]
    has_self_test = (workspace / _SELF_TEST).is_file()
    return {
        "data_version": run.data_version,
        "corpus": run.data,
        "hashes": run.data_hashes,
        "mixture": _read_json(workspace / _REPORT),
        "num_expectations": len(expectations),
        "failed_expectations": [entry for entry in expectations if not entry["success"]],
        "contamination": {
            suite: {key: counts[key] for key in ("num_items", "num_contaminated")}
            for suite, counts in _read_json(workspace / _CONTAMINATION).items()
        },
        "self_test": _read_json(workspace / _SELF_TEST) if has_self_test else None,
        "licences": _read_json(_manifest_file(workspace, run))["licences"],
    }


def has_data_version(workspace: Path, run: RunRecordSchema) -> bool:
    """Return whether the packed data of a workspace is what a run was trained on.

    Raises:
        InvalidRecord: the manifest is malformed.
    """
    file = _manifest_file(workspace, run)
    if not file.is_file():
        return False
    manifest = _read_json(file)
    return isinstance(manifest, dict) and manifest.get("version") == run.data_version


def _manifest_file(workspace: Path, run: RunRecordSchema) -> Path:
    return workspace / "data" / "packed" / run.data / "manifest.json"


def _has_changed(workspace: Path, file: Path, hashes: Mapping[str, str]) -> bool:
    """Return whether a file differs from the output that DVC recorded before the training."""
    expected = hashes.get(file.as_posix())
    if expected is None or not (workspace / file).is_file():
        return False
    content = (workspace / file).read_bytes()
    return hashlib.md5(content, usedforsecurity=False).hexdigest() != expected


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRecord(f"{path} is not JSON: {error}") from None
