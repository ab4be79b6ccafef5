"""A registered version with its validated records, independent of the database session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry.comparison.item_set import items_digest
from registry.lookup import is_current_version
from registry.records import parse_evaluation_record, parse_run_record, parse_speed_record
from registry.schemas import EvaluationRecordSchema, RunRecordSchema
from registry.speed_schema import SpeedSchema
from registry.tables import EvaluationRow, ModelRow, VersionRow, VersionState
from registry.version_summary import Standing, VersionSummary

VERSION_LOADS = (
    joinedload(VersionRow.model),
    joinedload(VersionRow.run),
    joinedload(VersionRow.status),
    selectinload(VersionRow.aliases),
    selectinload(VersionRow.tags),
    selectinload(VersionRow.evaluations).selectinload(EvaluationRow.speeds),
)
"""Everything that VersionInfo reads, in a fixed number of queries."""

ModelKind = Literal["MoE", "dense"]


@dataclass(frozen=True, kw_only=True)
class VersionInfo(Standing):
    """A registered version with its run record and its newest evaluation record."""

    model: str
    """Name of the registered model."""
    version: int
    created_at: datetime
    artifact: str
    """The artifact with weights/, tokenizer/ and the records: the SHA-256 of its manifest, or the
    folder that release 0.1.0 recorded. The artifact store reads both."""
    evaluation_artifact: str
    """The artifact with evaluation.json and samples.parquet of the newest evaluation."""
    run_record: RunRecordSchema
    evaluation: EvaluationRecordSchema
    """The newest evaluation."""
    speed: SpeedSchema | None
    """Measured evaluation time per item; None without a measurement of this release."""
    state: VersionState = VersionState.REGISTERED
    aliases: tuple[str, ...] = ()
    is_pinned: bool = False
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    num_evaluations: int = 1

    @classmethod
    def from_row(cls, row: VersionRow) -> VersionInfo:
        """Read a version from its row.

        Raises:
            InvalidRecord: a stored record is malformed or of a newer schema version.
        """
        source = f"version {row.number} of {row.model.name!r}"
        speeds = row.evaluation.speeds
        return cls(
            model=row.model.name,
            version=row.number,
            state=VersionState(row.status.state),
            aliases=tuple(alias.name for alias in row.aliases),
            is_pinned=row.status.is_pinned,
            description=row.status.description,
            tags={tag.key: tag.value for tag in row.tags},
            created_at=row.created_at,
            artifact=row.artifact,
            evaluation_artifact=row.evaluation.artifact,
            run_record=parse_run_record(row.run.record, f"{source}, run record"),
            evaluation=parse_stored_evaluation(row.evaluation, f"{source}, evaluation record"),
            num_evaluations=len(row.evaluations),
            speed=parse_speed_record(speeds[-1].record, f"{source}, speed") if speeds else None,
        )

    @property
    def name(self) -> str:
        """Name of the run in params.yaml."""
        return self.run_record.name

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.run_record.seed

    @property
    def kind(self) -> ModelKind:
        """Whether the model has experts."""
        return "MoE" if self.run_record.is_moe else "dense"

    @property
    def items_digest(self) -> str:
        """Digest of the evaluation items; accuracies are comparable only if it is equal."""
        return items_digest(self.evaluation)

    def summary(self) -> VersionSummary:
        """Return what a list shows of the version."""
        run, evaluation = self.run_record, self.evaluation
        return VersionSummary(
            model=self.model,
            version=self.version,
            name=self.name,
            seed=run.seed,
            state=self.state,
            aliases=self.aliases,
            is_pinned=self.is_pinned,
            description=self.description,
            tags=self.tags,
            tuned=run.tuned,
            is_moe=run.is_moe,
            total_parameters=run.total_parameters,
            active_parameters=run.active_parameters,
            flops_per_token=run.flops_per_token,
            training_flops=run.training_flops,
            cumulative_training_flops=run.cumulative_training_flops,
            training_seconds=run.training_seconds,
            git_commit=run.git_commit,
            data_version=run.data_version,
            accuracy=evaluation.accuracy,
            standard_error=evaluation.standard_error,
            random_score=evaluation.random_score,
            normalised=evaluation.normalised,
            partial=evaluation.partial,
            num_items=evaluation.num_items,
            items_digest=self.items_digest,
            flops_per_item=evaluation.flops_per_item,
            artifact=self.artifact,
            created_at=self.created_at,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the version as JSON values, without the evaluation record."""
        evaluation = self.evaluation
        return {
            **self.summary().to_dict(),
            "num_contaminated": evaluation.num_contaminated,
            "device": evaluation.device,
            "precision": evaluation.precision,
            "speed": self.speed and self.speed.model_dump(mode="json"),
            "tasks": [
                {"task": task.task, "suite": task.suite, "unit": task.unit, "weight": task.weight}
                for task in evaluation.tasks
            ],
            "num_evaluations": self.num_evaluations,
            "data_warnings": list(evaluation.data_warnings),
            "run_record": self.run_record.model_dump(mode="json"),
        }

    def to_full_dict(self) -> dict[str, Any]:
        """Return the version as JSON values, with the evaluation record."""
        return {**self.to_dict(), "evaluation": self.evaluation.model_dump(mode="json")}


def parse_stored_evaluation(row: EvaluationRow, source: str) -> EvaluationRecordSchema:
    """Validate the record of an evaluation in the database.

    Args:
        row: the evaluation.
        source: where it was read from, for error messages.

    Raises:
        InvalidRecord: the record is malformed or of a newer schema version.
    """
    record = dict(row.record)
    record.pop("seconds_per_item", None)  # of release 0.1.0: one pass, beside other stages
    return parse_evaluation_record(record, source)


def read_versions(
    session: Session, model_name: str | None, *, is_current: bool = False
) -> list[VersionInfo]:
    """Return versions by model name, oldest first, in a fixed number of queries.

    Args:
        session: an open session.
        model_name: the registered model; None: all.
        is_current: whether to return only champions and the newest version of each run and seed.
    """
    query = (
        select(VersionRow)
        .join(ModelRow)
        .order_by(ModelRow.name, VersionRow.number)
        .options(*VERSION_LOADS)
    )
    if model_name is not None:
        query = query.where(ModelRow.name == model_name)
    if is_current:
        query = query.where(is_current_version())
    return [VersionInfo.from_row(row) for row in session.scalars(query).unique()]


def current_versions(versions: Sequence[VersionInfo]) -> list[VersionInfo]:
    """Return the newest version of each run and seed, and the champion, oldest first.

    The champion stays when a newer version has the name of its run.
    """
    in_order = sorted(versions, key=lambda version: version.version)
    newest = {(version.name, version.seed): version.version for version in in_order}
    return [v for v in in_order if v.is_champion or v.version == newest[v.name, v.seed]]
