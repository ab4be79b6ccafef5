"""What a promotion is decided from: the candidate, the versions it is compared with, past tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from registry.comparison.cost_order import order_by_cost
from registry.dataset_record import DatasetRecordSchema, parse_dataset_record
from registry.history import EventKind
from registry.lookup import find_champion
from registry.registration import find_dataset
from registry.replicates import find_replicates
from registry.tables import (
    EvaluationRow,
    EventRow,
    GateVerdictRow,
    ModelRow,
    RunRow,
    VersionRow,
    VersionState,
    VersionStateRow,
)
from registry.versions import VERSION_LOADS, VersionInfo


@dataclass(frozen=True, kw_only=True)
class CaseVersion:
    """A version with its newest evaluation, as it was when the case was read."""

    info: VersionInfo
    version_id: int
    evaluation_id: int
    dataset: DatasetRecordSchema | None
    replicates: tuple[CaseVersion, ...] = ()
    """Versions of the same recipe with other seeds, evaluated on the same items."""

    @property
    def label(self) -> str:
        """The version as messages name it, such as `version 3`."""
        return f"version {self.info.version}"

    @property
    def tested_evaluations(self) -> list[int]:
        """Ids of the evaluations that a comparison with this version reads."""
        return sorted(version.evaluation_id for version in (self, *self.replicates))


@dataclass(frozen=True, kw_only=True)
class PromotionCase:
    """A candidate and everything that its promotion depends on."""

    model: str
    candidate: CaseVersion
    champion: CaseVersion | None
    """None without a champion, or if the candidate is it."""
    promoted: tuple[CaseVersion, ...]
    """Other versions that were champion before, and that nobody rejected or rolled back; without
    their replicates."""
    baseline: CaseVersion | None
    """Without a champion: the cheapest version on the same items; None if that is the
    candidate."""
    is_champion: bool
    """Whether the candidate is champion already."""
    num_earlier_tests: int
    """Other comparisons with this champion, or without one, that spent error probability. A
    comparison of the same evaluations is the same test, whichever seed is the candidate."""


def read_revision(session: Session, model: ModelRow) -> tuple[int, int]:
    """Return numbers that change with everything that a case of a model depends on.

    Every change of a version is an event; a comparison without a change is a verdict only.
    """
    last_event = select(func.max(EventRow.id)).where(EventRow.model_id == model.id)
    last_verdict = (
        select(func.max(GateVerdictRow.id))
        .join(VersionRow, VersionRow.id == GateVerdictRow.version_id)
        .where(VersionRow.model_id == model.id)
    )
    return session.scalar(last_event) or 0, session.scalar(last_verdict) or 0


def read_case(
    session: Session, model: ModelRow, candidate: VersionRow, min_saving: float
) -> PromotionCase:
    """Read a case from the registry.

    Args:
        session: an open transaction; the case is final only if the model is locked.
        model: the registered model.
        candidate: the version to promote.
        min_saving: smallest share of FLOPs that a cheaper version saves.
    """
    champion = find_champion(session, model.name)
    is_champion = champion is not None and champion.id == candidate.id
    opponent = None if is_champion else champion
    baseline = None
    if champion is None:
        baseline = _find_baseline(session, candidate, min_saving)
    case_candidate = _with_replicates(session, candidate)
    case_champion = None if opponent is None else _with_replicates(session, opponent)
    return PromotionCase(
        model=model.name,
        candidate=case_candidate,
        champion=case_champion,
        promoted=()
        if opponent is None
        else tuple(
            _read_version(session, row)
            for row in _earlier_champions(session, model)
            if row.id not in (candidate.id, opponent.id)
        ),
        baseline=None if baseline is None else _with_replicates(session, baseline),
        is_champion=is_champion,
        num_earlier_tests=_count_tests(session, model, case_candidate, case_champion),
    )


def _with_replicates(session: Session, row: VersionRow) -> CaseVersion:
    replicates = [_read_version(session, other) for other in find_replicates(session, row)]
    return _read_version(session, row, replicates)


def _read_version(
    session: Session, row: VersionRow, replicates: Sequence[CaseVersion] = ()
) -> CaseVersion:
    dataset = row.run.dataset or find_dataset(session, row.run.data_version)
    source = f"dataset {row.run.data_version!r}"
    return CaseVersion(
        info=VersionInfo.from_row(row),
        version_id=row.id,
        evaluation_id=row.evaluation.id,
        dataset=None if dataset is None else parse_dataset_record(dataset.record, source),
        replicates=tuple(replicates),
    )


def _find_baseline(session: Session, candidate: VersionRow, min_saving: float) -> VersionRow | None:
    """Return the cheapest version on the candidate's items; None if that is the candidate.

    Other seeds of the candidate count as the candidate.
    """
    newest = (
        select(func.max(EvaluationRow.id))
        .join(VersionRow)
        .where(VersionRow.model_id == candidate.model_id)
        .group_by(EvaluationRow.version_id)
    )
    rows = session.execute(
        select(VersionRow.id, EvaluationRow.flops_per_item, RunRow.total_parameters)
        .join(EvaluationRow, EvaluationRow.version_id == VersionRow.id)
        .join(RunRow, RunRow.id == VersionRow.run_id)
        .join(VersionStateRow, VersionStateRow.version_id == VersionRow.id)
        .where(
            EvaluationRow.id.in_(newest),
            EvaluationRow.items_digest == candidate.evaluation.items_digest,
            VersionStateRow.state != VersionState.REJECTED,
        )
        .order_by(VersionRow.number)
    ).all()
    ordered = order_by_cost(rows, lambda row: (row[1], row[2]), min_saving)
    siblings = {version.id for version in find_replicates(session, candidate)}
    if not ordered or ordered[0][0] in {candidate.id, *siblings}:
        return None
    return session.get_one(VersionRow, ordered[0][0])


def _earlier_champions(session: Session, model: ModelRow) -> list[VersionRow]:
    """Return the versions that were ever champion, and that nobody rejected since."""
    was_champion = select(EventRow.version_id).where(
        EventRow.model_id == model.id,
        EventRow.kind.in_([EventKind.PROMOTED, EventKind.ROLLED_BACK]),
    )
    rows = session.scalars(
        select(VersionRow)
        .where(VersionRow.id.in_(was_champion))
        .order_by(VersionRow.number)
        .options(*VERSION_LOADS, joinedload(VersionRow.run).joinedload(RunRow.dataset))
    ).unique()
    return [row for row in rows if row.status.state != VersionState.REJECTED]


def _count_tests(
    session: Session, model: ModelRow, candidate: CaseVersion, champion: CaseVersion | None
) -> int:
    """Count the tests against the champion, or without one, before that of these evaluations."""
    is_same_opponent: ColumnElement[bool] = GateVerdictRow.champion_id.is_(None)
    if champion is not None:
        is_same_opponent = GateVerdictRow.champion_id == champion.version_id
    rows = session.execute(
        select(GateVerdictRow.candidate_evaluations, GateVerdictRow.champion_evaluations)
        .join(VersionRow, VersionRow.id == GateVerdictRow.version_id)
        .where(VersionRow.model_id == model.id, GateVerdictRow.alpha_spent > 0, is_same_opponent)
        .order_by(GateVerdictRow.id)
    )
    tests = list(dict.fromkeys((tuple(row[0]), tuple(row[1])) for row in rows))
    test = (
        tuple(candidate.tested_evaluations),
        tuple(champion.tested_evaluations) if champion else (),
    )
    return tests.index(test) if test in tests else len(tests)
