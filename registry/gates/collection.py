"""Collection of evidence: records of the registry, and files of the artifact store."""

from __future__ import annotations

from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import SAMPLES, artifact_faults
from registry.comparison.results import EvaluationResult, ItemScores, read_item_scores
from registry.consistency import check_consistency
from registry.errors import DamagedArtifact, MissingArtifact, NotComparable
from registry.gates.evidence import Evidence
from registry.promotion_case import CaseVersion

_UNREADABLE = (MissingArtifact, DamagedArtifact, NotComparable, OSError)


def collect_candidate(version: CaseVersion, store: ArtifactStore) -> Evidence:
    """Collect the evidence of a version to promote: every file and score is verified.

    Args:
        version: the version with its newest evaluation.
        store: the artifact store.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    faults = artifact_faults(store, version.info)
    return _collect(version, store, faults, is_candidate=True)


def collect_compared(version: CaseVersion, store: ArtifactStore) -> Evidence:
    """Collect the evidence of a version that a candidate is compared with: its item scores.

    Args:
        version: the version with its newest evaluation.
        store: the artifact store.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    return _collect(version, store, [], is_candidate=False)


def _collect(
    version: CaseVersion, store: ArtifactStore, faults: list[str], *, is_candidate: bool
) -> Evidence:
    item_scores: dict[str, ItemScores] = {}
    record_faults: list[str] = []
    try:
        samples = store.file(version.info.evaluation_artifact, SAMPLES)
        if is_candidate:
            record_faults = check_consistency(version.info.evaluation, samples)
        item_scores = read_item_scores(samples, version.label)
    except _UNREADABLE as error:
        # A file that is missing or damaged is among the faults already.
        faults = faults or [str(error)]
    replicates = (_read_replicate(other, store) for other in version.replicates)
    return Evidence(
        version=version.info.version,
        result=_result(version, item_scores),
        replicates=tuple(result for result in replicates if result is not None),
        dataset=version.dataset,
        artifact_faults=tuple(faults),
        record_faults=tuple(record_faults),
    )


def _read_replicate(version: CaseVersion, store: ArtifactStore) -> EvaluationResult | None:
    """Return the evaluation of another seed; None if its samples cannot be read."""
    try:
        samples = store.file(version.info.evaluation_artifact, SAMPLES)
        return _result(version, read_item_scores(samples, version.label))
    except _UNREADABLE:
        return None


def _result(version: CaseVersion, item_scores: dict[str, ItemScores]) -> EvaluationResult:
    return EvaluationResult(
        label=version.label,
        run=version.info.run_record,
        evaluation=version.info.evaluation,
        item_scores=item_scores,
    )
