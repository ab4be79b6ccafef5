"""Verification of a registry: files against checksums, records against samples and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import EXECUTION, MODEL_FOLDERS, artifact_faults
from registry.comparison.item_set import items_digest
from registry.consistency import check_consistency
from registry.errors import DamagedArtifact, InvalidRecord, MissingArtifact
from registry.history import EventKind
from registry.intake import result_digest
from registry.lookup import find_model
from registry.records import (
    parse_run_record,
    read_evaluation_record,
    read_run_record,
)
from registry.registration import metric_rows
from registry.retention import removal_time
from registry.schemas import EvaluationRecordSchema, RecordSchema, RunRecordSchema
from registry.session import reading
from registry.tables import EvaluationRow, EventRow, MetricRow, ModelRow, RunRow, VersionRow
from registry.versions import VersionInfo, parse_stored_evaluation

_RUN_COLUMNS = (
    "name",
    "seed",
    "tuned",
    "is_moe",
    "total_parameters",
    "active_parameters",
    "flops_per_token",
    "training_flops",
    "cumulative_training_flops",
    "training_seconds",
    "git_commit",
    "data_version",
)
_EVALUATION_COLUMNS = (
    "accuracy",
    "standard_error",
    "random_score",
    "normalised",
    "partial",
    "num_items",
    "flops_per_item",
    "samples_sha256",
)


_NOT_IN_RECORD = {"seconds_per_item"}
"""Fields that release 0.1.0 wrote and the present one reads nowhere."""


@dataclass(frozen=True, kw_only=True)
class VersionFault:
    """Something that is wrong with a version."""

    model: str
    version: int
    fault: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class VerifiedVersion:
    """A version and its faults."""

    model: str
    version: int
    faults: tuple[VersionFault, ...]


def verify_registry(
    engine: Engine, store: ArtifactStore, model_name: str | None = None
) -> Iterator[VerifiedVersion]:
    """Verify every version of a model, or of all models, one after another.

    The checksum of every file is recomputed. The record of every evaluation is compared with its
    samples, with the stored evaluation.json and with the columns of the database.

    Args:
        engine: the registry's database.
        store: its artifact store.
        model_name: the registered model; None: all.

    Raises:
        UnknownVersion: the model does not exist.
        StoreUnavailable: the artifact store cannot be read.
    """
    query = select(VersionRow.id).join(ModelRow).order_by(ModelRow.name, VersionRow.number)
    with reading(engine) as session:
        if model_name is not None:
            find_model(session, model_name)
            query = query.where(ModelRow.name == model_name)
        version_ids = session.scalars(query).all()
    intact: set[str] = set()
    for version_id in version_ids:
        with reading(engine) as session:
            row = session.get_one(VersionRow, version_id)
            model, number = row.model.name, row.number
            faults = tuple(
                VersionFault(model=model, version=number, fault=fault)
                for fault in _version_faults(session, store, row, intact)
            )
        yield VerifiedVersion(model=model, version=number, faults=faults)


def record_verification(
    session: Session, num_faults: Mapping[str, Sequence[int]], *, actor: str
) -> None:
    """Record in the history of each model that all its versions were verified.

    Args:
        session: the open transaction.
        num_faults: for each model, the number of faults of each version.
        actor: person or program that verified them.
    """
    for model, counts in num_faults.items():
        session.add(
            EventRow(
                model_id=find_model(session, model).id,
                kind=EventKind.VERIFIED,
                actor=actor,
                reason=f"{len(counts):,} versions, {sum(counts):,} faults",
                details={"num_versions": len(counts), "num_faults": sum(counts)},
            )
        )


def _version_faults(
    session: Session, store: ArtifactStore, row: VersionRow, intact: set[str]
) -> Iterator[str]:
    try:
        version = VersionInfo.from_row(row)
    except InvalidRecord as error:
        yield str(error)
        return
    is_removed = removal_time(session, row) is not None
    yield from artifact_faults(
        store, version, removed=MODEL_FOLDERS if is_removed else (), intact=intact
    )
    yield from _column_faults("run record", row.run, version.run_record, _RUN_COLUMNS)
    yield from _run_file_faults(store, row)
    for index, evaluation in enumerate(row.evaluations):
        try:
            record = parse_stored_evaluation(evaluation, f"evaluation {evaluation.id}")
        except InvalidRecord as error:
            yield str(error)
            continue
        if index == 0 and row.digest != result_digest(version.run_record, record):
            yield "its digest is not that of its records; restore the database from a backup"
        yield from _metric_faults(session, evaluation, record)
        yield from _evaluation_faults(store, evaluation, record)


def _run_file_faults(store: ArtifactStore, row: VersionRow) -> Iterator[str]:
    try:
        has_execution = store.has_file(row.artifact, EXECUTION)
        execution = store.file(row.artifact, EXECUTION) if has_execution else None
        stored = read_run_record(store.file(row.artifact, "run.json"), execution)
    except (InvalidRecord, MissingArtifact, DamagedArtifact):
        return  # `artifact_faults` names a missing or damaged file
    yield from _record_differences("run.json", stored, parse_run_record(row.run.record, "run"))


def _metric_faults(
    session: Session, row: EvaluationRow, record: EvaluationRecordSchema
) -> Iterator[str]:
    """Compare the scores by which `list --where` filters with the record."""
    rows = session.scalars(select(MetricRow).where(MetricRow.evaluation_id == row.id))
    stored = {metric.name: (metric.value, metric.low) for metric in rows}
    expected = {m.name: (m.value, m.low) for m in metric_rows(row.id, record)}
    for name in sorted(stored.keys() | expected.keys()):
        if stored.get(name) != expected.get(name):
            yield (
                f"evaluation {row.id}: the metric {name} of the database does not follow from the "
                "record; restore the database from a backup"
            )


def _evaluation_faults(
    store: ArtifactStore, row: EvaluationRow, record: EvaluationRecordSchema
) -> Iterator[str]:
    where = f"evaluation {row.id}"
    yield from _column_faults(where, row, record, _EVALUATION_COLUMNS)
    if row.items_digest != items_digest(record):
        yield f"{where}: items_digest of the database is not that of its record"
    try:
        samples = store.file(row.artifact, "samples.parquet")
        stored = read_evaluation_record(store.file(row.artifact, "evaluation.json"))
    except InvalidRecord as error:
        yield f"{where}: {error}"
        return
    except (MissingArtifact, DamagedArtifact) as error:
        yield f"{where} cannot be recomputed: {error}"
        return
    yield from _record_differences(f"{where}: evaluation.json", stored, record)
    for fault in check_consistency(record, samples):
        yield f"{where}: {fault}; the record was edited: register the run again"


def _column_faults(
    where: str,
    row: RunRow | EvaluationRow,
    record: RunRecordSchema | EvaluationRecordSchema,
    columns: tuple[str, ...],
) -> Iterator[str]:
    """Compare the columns that queries use with the record that they were copied from."""
    for name in columns:
        stored, expected = getattr(row, name), getattr(record, name)
        if stored != expected:
            yield (
                f"{where}: {name} is {stored!r} in its column of the database, {expected!r} in "
                "its record; restore the database from a backup"
            )


def _record_differences(where: str, stored: RecordSchema, record: RecordSchema) -> Iterator[str]:
    """Compare a stored file with the record in the database, field by field."""
    own, other = stored.model_dump(mode="json"), record.model_dump(mode="json")
    names = sorted(
        name
        for name in (own.keys() | other.keys()) - _NOT_IN_RECORD
        if own.get(name) != other.get(name)
    )
    if names:
        yield (
            f"{where} of the artifact differs from the database in {', '.join(names[:5])}; one of "
            "them was edited: register the run again, or restore the database from a backup"
        )
