"""Promotion to champion: gates and change of stage in one transaction, under the model's lock."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from registry.errors import GateFailed, UnknownVersion
from registry.gates import GateResult, check_gates
from registry.history import new_transition
from registry.params import GateParams
from registry.tables import ModelRow, VersionRow, VersionStage
from registry.versions import VersionInfo


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Outcome of `promote_best`."""

    champion_version: int | None
    """The champion after the decision; None without one."""
    changed: bool
    reason: str
    gates: tuple[GateResult, ...]
    """Results of the new champion's gates; empty if the champion did not change."""


def lock_model(session: Session, name: str, *, create: bool = False) -> ModelRow:
    """Lock a model's row until the transaction ends.

    PostgreSQL locks the row (SELECT … FOR UPDATE); SQLite has locked the database at BEGIN.

    Args:
        session: the open transaction.
        name: the registered model.
        create: whether to create the model if it does not exist.

    Raises:
        UnknownVersion: the model does not exist.
    """
    if create:
        dialect = session.get_bind().dialect.name
        insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        session.execute(insert(ModelRow).values(name=name).on_conflict_do_nothing())
    model = session.scalar(select(ModelRow).where(ModelRow.name == name).with_for_update())
    if model is None:
        names = session.scalars(select(ModelRow.name).order_by(ModelRow.name))
        raise UnknownVersion(f"unknown model {name!r}; registered: {', '.join(names) or 'none'}")
    return model


def find_version(session: Session, model_name: str, number: int) -> VersionRow:
    """Return a version's row and lock its model.

    Raises:
        UnknownVersion: the model or version does not exist.
    """
    model = lock_model(session, model_name)
    query = select(VersionRow).where(VersionRow.model_id == model.id)
    version = session.scalar(query.where(VersionRow.number == number))
    if version is None:
        numbers = sorted(row.number for row in session.scalars(query))
        raise UnknownVersion(
            f"model {model_name!r} has no version {number}; registered: {numbers or 'none'}"
        )
    return version


def promote_version(
    session: Session,
    model_name: str,
    number: int,
    params: GateParams,
    *,
    actor: str,
    override: str = "",
) -> list[GateResult]:
    """Make a version champion and archive the previous champion.

    Args:
        session: the open transaction.
        model_name: the registered model.
        number: the version to promote.
        params: the gates' thresholds.
        actor: user or program, for the history.
        override: reason to promote even if gates fail; empty: a failed gate is an error.

    Returns:
        The results of all gates.

    Raises:
        GateFailed: a gate failed and `override` is empty.
        UnknownVersion: the model or version does not exist.
    """
    candidate = find_version(session, model_name, number)
    champion = _find_champion(session, candidate.model_id)
    gates = check_gates(
        VersionInfo.from_row(candidate),
        None if champion is None else VersionInfo.from_row(champion),
        params,
    )
    failed = [gate for gate in gates if not gate.passed]
    if failed and not override:
        raise GateFailed(
            f"version {number} of {model_name!r} does not pass the gates: "
            + "; ".join(f"{gate.name}: {gate.detail}" for gate in failed)
            + " (--override REASON promotes it nevertheless and records the reason)"
        )
    if champion is not None and champion.id == candidate.id:
        return gates
    if champion is not None:
        champion.stage = VersionStage.ARCHIVED
        session.add(
            new_transition(
                champion,
                VersionStage.ARCHIVED,
                from_stage=VersionStage.CHAMPION,
                actor=actor,
                reason=f"replaced by version {number}",
                evidence=gates,
            )
        )
        # Write this before the new champion: the index allows only one at any moment.
        session.flush()
    session.add(
        new_transition(
            candidate,
            VersionStage.CHAMPION,
            from_stage=candidate.stage,
            actor=actor,
            reason=f"override: {override}" if failed else "all gates passed",
            evidence=gates,
        )
    )
    candidate.stage = VersionStage.CHAMPION
    return gates


def promote_best(
    session: Session, model_name: str, numbers: list[int], params: GateParams, *, actor: str
) -> PromotionDecision:
    """Promote the most accurate version that passes the gates; fewer FLOPs break a tie.

    Args:
        session: the open transaction.
        model_name: the registered model.
        numbers: the versions to choose from.
        params: the gates' thresholds.
        actor: user or program, for the history.
    """
    versions = [find_version(session, model_name, number) for number in numbers]
    versions.sort(key=lambda v: (-v.evaluation.accuracy, v.flops_per_token, v.number))
    champion = _find_champion(session, versions[0].model_id)
    failures = []
    for version in versions:
        if champion is not None and version.id == champion.id:
            reason = f"version {version.number} stays champion"
            return PromotionDecision(
                champion_version=version.number, changed=False, reason=reason, gates=()
            )
        try:
            gates = promote_version(session, model_name, version.number, params, actor=actor)
        except GateFailed as failure:
            failures.append(str(failure))
            continue
        reason = f"version {version.number} ({version.name}) is champion"
        return PromotionDecision(
            champion_version=version.number, changed=True, reason=reason, gates=tuple(gates)
        )
    return PromotionDecision(
        champion_version=champion.number if champion is not None else None,
        changed=False,
        reason=failures[0],
        gates=(),
    )


def _find_champion(session: Session, model_id: int) -> VersionRow | None:
    return session.scalar(
        select(VersionRow).where(
            VersionRow.model_id == model_id, VersionRow.stage == VersionStage.CHAMPION
        )
    )
