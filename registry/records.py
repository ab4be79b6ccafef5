"""Reading of records: upgraded to the present schema version and validated."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from registry.errors import InvalidRecord
from registry.record_upgrades import upgrade_evaluation_record, upgrade_run_record
from registry.schemas import (
    SCHEMA_VERSION,
    EvaluationRecordSchema,
    ExecutionSchema,
    RecordSchema,
    RunRecordSchema,
)
from registry.speed_schema import SpeedSchema

_ESCAPE = re.compile(r"\\(?:u(d[89ab]..)\\ud[c-f]|u(....)|.)", re.IGNORECASE)
"""An escape in JSON: a surrogate pair, a single character, or one of a letter."""
AnyRecord = TypeVar("AnyRecord", bound=RecordSchema)
_UNKNOWN_EXECUTION = {
    "git_commit": "unknown",
    **dict.fromkeys(
        ("device", "processor", "training_seconds", "flops_per_second", "mfu", "peak_flops",
         "resumed_from_step", "finished_at")
    ),
}  # fmt: skip


def read_run_record(path: Path, execution_file: Path | None = None) -> RunRecordSchema:
    """Read a run.json of schema version 1 or 2, with its execution record.

    Without an execution of these weights, as in a clone, its values are None.

    Args:
        path: the run record.
        execution_file: the execution record; by default execution.json beside the run record.

    Raises:
        InvalidRecord: a file is missing, malformed, or of a newer schema version.
    """
    record = _read_json(path)
    execution_file = execution_file or path.with_name("execution.json")
    if isinstance(record, dict) and execution_file.is_file():
        execution = _read_json(execution_file)
        _parse(execution, str(execution_file), ExecutionSchema, lambda record: record)
        if execution["weights_sha256"] == record.get("weights_sha256"):
            record |= execution
    return parse_run_record(record, str(path))


def read_evaluation_record(path: Path) -> EvaluationRecordSchema:
    """Read an evaluation.json of schema version 1 or 2.

    Raises:
        InvalidRecord: the file is missing, malformed, or of a newer schema version.
    """
    return parse_evaluation_record(_read_json(path), str(path))


def read_speed_record(path: Path) -> SpeedSchema | None:
    """Read a speed.json; it is in a file of its own, as evaluation.json is deterministic.

    Returns:
        The measurement; None without a file, or if release 0.1.0 wrote it, which timed one pass
        while other stages ran.

    Raises:
        InvalidRecord: the file is malformed.
    """
    if not path.is_file():
        return None
    return parse_speed_record(_read_json(path), str(path))


def parse_speed_record(data: Any, source: str) -> SpeedSchema | None:
    """Validate a measurement of speed; None for one of release 0.1.0.

    Args:
        data: the JSON value.
        source: where it was read from, for error messages.

    Raises:
        InvalidRecord: the record is malformed.
    """
    if isinstance(data, dict) and "num_passes" not in data and "seconds" in data:
        return None
    return _parse(data, source, SpeedSchema, lambda record: record)


def parse_run_record(data: Any, source: str) -> RunRecordSchema:
    """Validate a run record; the values of an execution that was not recorded are None.

    Args:
        data: the JSON value, with the values of the execution record.
        source: where it was read from, for error messages.

    Raises:
        InvalidRecord: the record is malformed or of a newer schema version.
    """
    if isinstance(data, dict):
        data = {**_UNKNOWN_EXECUTION, **data}
    return _parse(data, source, RunRecordSchema, upgrade_run_record)


def parse_evaluation_record(data: Any, source: str) -> EvaluationRecordSchema:
    """Validate an evaluation record.

    Args:
        data: the JSON value.
        source: where it was read from, for error messages.

    Raises:
        InvalidRecord: the record is malformed or of a newer schema version.
    """
    return _parse(data, source, EvaluationRecordSchema, upgrade_evaluation_record)


def _parse(
    data: Any,
    source: str,
    schema: type[AnyRecord],
    upgrade: Callable[[dict[str, Any]], dict[str, Any]],
) -> AnyRecord:
    if not isinstance(data, dict):
        raise InvalidRecord(f"{source}: expected a JSON object, found {type(data).__name__}")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InvalidRecord(
            f"{source}: schema_version {version} is newer than {SCHEMA_VERSION}, the newest that "
            "this release of flanmoe reads; upgrade flanmoe"
        )
    try:
        return schema.model_validate(upgrade(data) if version == 1 else data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRecord(f"{source}: {field}: {first['msg']}") from None
    except KeyError as error:
        raise InvalidRecord(f"{source}: {error.args[0]}: Field required") from None
    except (AttributeError, TypeError):
        raise InvalidRecord(f"{source}: it is not a record of schema version 1") from None


def _read_json(path: Path) -> Any:
    """Read a file of strict JSON, whose texts every database can store."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, parse_constant=_parse_number, parse_float=_parse_number)
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing; run `flanmoe run`") from None
    except ValueError as error:
        raise InvalidRecord(f"{path} is not JSON: {error}") from None
    except RecursionError:
        raise InvalidRecord(f"{path} is not a record: it is nested too deeply") from None
    for escape in _ESCAPE.finditer(text):
        code = int(escape[2], 16) if escape[2] else 1
        if code == 0 or 0xD800 <= code < 0xE000:  # NUL, or half of a surrogate pair
            raise InvalidRecord(f"{path}: the character {escape[0]} is not valid; remove it")
    return value


def _parse_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number; the run may have diverged, train it again")
    return number
