"""Registration: finished runs become versions, and further evaluations are added to them."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.comparison.item_set import items_digest
from registry.dataset_record import DatasetRecordSchema
from registry.history import EventKind, add_event
from registry.intake import Submission
from registry.lookup import insert_new_row
from registry.schemas import EvaluationRecordSchema, RunRecordSchema
from registry.speed_schema import SpeedSchema
from registry.tables import (
    DatasetRow,
    EvaluationRow,
    MetricRow,
    ModelRow,
    RunRow,
    SpeedRow,
    VersionRow,
    VersionStateRow,
    utc_now,
)

Z_95 = 1.96
"""Standard errors between a score and each end of its 95 % interval."""
REGISTRY_ACTOR = "registry"


def add_version(
    session: Session, model: ModelRow, submission: Submission, artifact: str
) -> VersionRow:
    """Add a run as the next version of a model.

    Args:
        session: the open transaction, with the model locked.
        model: the registered model.
        submission: the finished run.
        artifact: where its files are stored.
    """
    last_number = session.scalar(
        select(func.max(VersionRow.number)).where(VersionRow.model_id == model.id)
    )
    version = VersionRow(
        model=model,
        number=(last_number or 0) + 1,
        run=_find_or_add_run(session, submission.run, submission.dataset),
        digest=submission.digest,
        artifact=artifact,
        status=VersionStateRow(),
    )
    session.add(version)
    session.flush()
    add_event(session, version, EventKind.REGISTERED, actor=REGISTRY_ACTOR, reason="registered")
    add_evaluation(session, version, submission.evaluation, submission.speed, artifact)
    return version


def add_evaluation(
    session: Session,
    version: VersionRow,
    record: EvaluationRecordSchema,
    speed: SpeedSchema | None,
    artifact: str,
) -> EvaluationRow:
    """Add an evaluation of a version; it counts from now on.

    Args:
        session: the open transaction, with the model locked.
        version: the evaluated version.
        record: its scores.
        speed: the measured time per item; None without a measurement.
        artifact: where evaluation.json and samples.parquet are stored.
    """
    evaluation = EvaluationRow(
        accuracy=record.accuracy,
        standard_error=record.standard_error,
        random_score=record.random_score,
        normalised=record.normalised,
        partial=record.partial,
        num_items=record.num_items,
        flops_per_item=record.flops_per_item,
        items_digest=items_digest(record),
        samples_sha256=record.samples_sha256,
        artifact=artifact,
        record=record.model_dump(mode="json"),
    )
    version.evaluations.append(evaluation)
    session.flush()
    session.add_all(metric_rows(evaluation.id, record))
    if speed is not None:
        evaluation.speeds.append(SpeedRow(record=speed.model_dump(mode="json")))
    if len(version.evaluations) > 1:
        add_event(
            session,
            version,
            EventKind.EVALUATED,
            actor=REGISTRY_ACTOR,
            reason="evaluated on other items or by other code",
            details={"evaluation": evaluation.id, "items_digest": evaluation.items_digest},
        )
    return evaluation


def add_speed(session: Session, evaluation: EvaluationRow, speed: SpeedSchema) -> None:
    """Add a time per item that was measured later, unless it is the newest already."""
    record = speed.model_dump(mode="json")
    if not evaluation.speeds or evaluation.speeds[-1].record != record:
        evaluation.speeds.append(SpeedRow(record=record))
        add_event(session, evaluation.version, EventKind.TIMED, actor=REGISTRY_ACTOR)


def find_dataset(session: Session, data_version: str) -> DatasetRow | None:
    """Return the dataset that was recorded for a data version; None without one."""
    return session.scalar(select(DatasetRow).where(DatasetRow.data_version == data_version))


def _find_or_add_dataset(session: Session, record: DatasetRecordSchema) -> DatasetRow | None:
    """Record a dataset once for its data version, whichever process is first."""
    values = {
        "data_version": record.data_version,
        "record": record.model_dump(mode="json"),
        "created_at": utc_now(),
    }
    insert_new_row(session, DatasetRow, values)
    return find_dataset(session, record.data_version)


def _find_or_add_run(
    session: Session, record: RunRecordSchema, dataset: DatasetRecordSchema | None
) -> RunRow:
    key = f"{record.name}\n{record.weights_sha256}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    dataset_row = None if dataset is None else _find_or_add_dataset(session, dataset)
    values = {
        "digest": digest,
        "dataset_id": dataset_row and dataset_row.id,
        "name": record.name,
        "seed": record.seed,
        "tuned": record.tuned,
        "is_moe": record.is_moe,
        "total_parameters": record.total_parameters,
        "active_parameters": record.active_parameters,
        "flops_per_token": record.flops_per_token,
        "training_flops": record.training_flops,
        "cumulative_training_flops": record.cumulative_training_flops,
        "training_seconds": record.training_seconds,
        "git_commit": record.git_commit,
        "data_version": record.data_version,
        "record": record.model_dump(mode="json"),
    }
    # Another process may register the run under another model at the same time.
    insert_new_row(session, RunRow, values)
    return session.scalars(select(RunRow).where(RunRow.digest == digest)).one()


def metric_rows(evaluation_id: int, record: EvaluationRecordSchema) -> list[MetricRow]:
    """Return the scores of an evaluation by which queries filter."""
    scores = [("score", record.accuracy, record.standard_error)]
    scores += [(f"suite.{s.suite}", s.accuracy, s.standard_error) for s in record.suites]
    scores += [(f"task.{t.task}", t.accuracy, t.standard_error) for t in record.tasks]
    return [
        MetricRow(
            evaluation_id=evaluation_id,
            name=name,
            value=100 * accuracy,
            low=100 * max(0.0, accuracy - Z_95 * standard_error),
            high=100 * min(1.0, accuracy + Z_95 * standard_error),
        )
        for name, accuracy, standard_error in scores
    ]
