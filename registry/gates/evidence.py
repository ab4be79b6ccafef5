"""The evidence that the gates judge: everything known about one version, without a database."""

from __future__ import annotations

from dataclasses import dataclass

from registry.comparison.results import EvaluationResult
from registry.dataset_record import DatasetRecordSchema
from registry.schemas import EvaluationRecordSchema, RunRecordSchema


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Records, item scores and checks of one version."""

    version: int
    result: EvaluationResult
    """The run record, the newest evaluation record and its item scores; without item scores if
    `artifact_faults` says why they cannot be read."""
    replicates: tuple[EvaluationResult, ...] = ()
    """Versions that differ from this one in their seed only, evaluated on the same items."""
    dataset: DatasetRecordSchema | None
    """None if the training data was not recorded."""
    artifact_faults: tuple[str, ...] = ()
    """A line for each missing or damaged file of the artifact."""
    record_faults: tuple[str, ...] = ()
    """A line for each value of the evaluation record that does not follow from its samples."""

    @property
    def run(self) -> RunRecordSchema:
        """The run record."""
        return self.result.run

    @property
    def evaluation(self) -> EvaluationRecordSchema:
        """The newest evaluation record."""
        return self.result.evaluation

    @property
    def results(self) -> tuple[EvaluationResult, ...]:
        """The evaluation of this version, and those of its other seeds."""
        return (self.result, *self.replicates)

    @property
    def label(self) -> str:
        """The version as messages name it, such as `version 3`."""
        return self.result.label
