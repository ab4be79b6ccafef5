"""The data versions that the versions of a model were trained on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.dataset_record import DatasetRecordSchema, parse_dataset_record
from registry.lookup import find_model
from registry.tables import DatasetRow, RunRow, VersionRow, as_utc


@dataclass(frozen=True, kw_only=True)
class RegisteredDataset:
    """A recorded data version, with the versions of a model that were trained on it."""

    record: DatasetRecordSchema
    created_at: datetime
    num_versions: int
    newest_version: int


def list_datasets(session: Session, model_name: str, limit: int) -> list[RegisteredDataset]:
    """Return the data versions of a model, the last registered first.

    Args:
        session: an open session.
        model_name: the registered model.
        limit: return the last ones only.

    Raises:
        InvalidRecord: a stored record is malformed.
        UnknownVersion: the model does not exist.
    """
    model = find_model(session, model_name)
    uses = (
        select(
            RunRow.dataset_id,
            func.count(VersionRow.id).label("num_versions"),
            func.max(VersionRow.number).label("newest_version"),
        )
        .join(VersionRow, VersionRow.run_id == RunRow.id)
        .where(VersionRow.model_id == model.id)
        .group_by(RunRow.dataset_id)
        .subquery()
    )
    rows = session.execute(
        select(DatasetRow, uses.c.num_versions, uses.c.newest_version)
        .join(uses, uses.c.dataset_id == DatasetRow.id)
        .order_by(DatasetRow.id.desc())
        .limit(limit)
    )
    return [
        RegisteredDataset(
            record=parse_dataset_record(row.record, f"dataset {row.data_version!r}"),
            created_at=as_utc(row.created_at),
            num_versions=num_versions,
            newest_version=newest_version,
        )
        for row, num_versions, newest_version in rows
    ]
