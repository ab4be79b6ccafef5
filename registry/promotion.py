"""Who is champion: decided and written under one lock, so that there is never a second."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from registry.errors import GateFailed, UnknownVersion
from registry.gates import Gate, check
from registry.params import GateParams
from registry.tables import Model, Stage, Transition, Version


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What `promote_best` did. `number` is the champion afterwards, None if there is none."""

    number: int | None
    changed: bool
    reason: str
    gates: list[Gate]


def lock_model(session: Session, name: str, *, create: bool = False) -> Model:
    """The model's row, locked until the transaction ends. Raises UnknownVersion.

    PostgreSQL locks the row (SELECT .. FOR UPDATE); SQLite has locked the database at BEGIN.
    """
    if create:
        dialect = session.get_bind().dialect.name
        insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        session.execute(insert(Model).values(name=name).on_conflict_do_nothing())
    model = session.scalar(select(Model).where(Model.name == name).with_for_update())
    if model is None:
        known = ", ".join(session.scalars(select(Model.name).order_by(Model.name))) or "none yet"
        raise UnknownVersion(f"no model is called {name!r}; registered: {known}")
    return model


def find(session: Session, model_name: str, number: int) -> Version:
    """Raises UnknownVersion, naming the versions there are."""
    model = lock_model(session, model_name)
    query = select(Version).where(Version.model_id == model.id)
    version = session.scalar(query.where(Version.number == number))
    if version is None:
        numbers = sorted(v.number for v in session.scalars(query))
        raise UnknownVersion(
            f"model {model_name!r} has no version {number}; it has {numbers or 'none'}"
        )
    return version


def promote(
    session: Session,
    model_name: str,
    number: int,
    params: GateParams,
    *,
    actor: str,
    override: str = "",
) -> list[Gate]:
    """Makes the version champion and archives the one before. Returns the evidence."""
    candidate = find(session, model_name, number)
    champion = _champion(session, candidate.model_id)
    gates = check(candidate, champion, params)
    failed = [gate for gate in gates if not gate.passed]
    if failed and not override:
        raise GateFailed(
            f"version {number} of {model_name!r} is not promoted: "
            + "; ".join(f"{gate.name}: {gate.detail}" for gate in failed)
            + " (--override REASON promotes it all the same and records why)"
        )
    if champion is not None and champion.id == candidate.id:
        return gates
    reason = f"override: {override}" if failed else "all gates passed"
    evidence = [gate.to_dict() for gate in gates]
    if champion is not None:
        champion.stage = Stage.ARCHIVED
        replaced = f"replaced by version {number}"
        session.add(transition(champion, Stage.CHAMPION, Stage.ARCHIVED, actor, replaced, evidence))
        # Before the new champion: the index allows only one at any moment.
        session.flush()
    session.add(transition(candidate, candidate.stage, Stage.CHAMPION, actor, reason, evidence))
    candidate.stage = Stage.CHAMPION
    return gates


def promote_best(
    session: Session, model_name: str, numbers: list[int], params: GateParams, *, actor: str
) -> Decision:
    """The most accurate of the versions (fewer FLOPs where equal) meets the gates first."""
    versions = [find(session, model_name, number) for number in numbers]
    versions.sort(key=lambda v: (-v.evaluation.accuracy, v.flops_per_token, v.number))
    champion = _champion(session, versions[0].model_id)
    refusals = []
    for version in versions:
        if champion is not None and version.id == champion.id:
            reason = f"version {version.number} stays champion"
            return Decision(number=version.number, changed=False, reason=reason, gates=[])
        try:
            gates = promote(session, model_name, version.number, params, actor=actor)
        except GateFailed as failure:
            refusals.append(str(failure))
            continue
        reason = f"version {version.number} ({version.name}) is champion"
        return Decision(number=version.number, changed=True, reason=reason, gates=gates)
    return Decision(
        number=champion.number if champion is not None else None,
        changed=False,
        reason=refusals[0],
        gates=[],
    )


def transition(
    version: Version,
    before: str | None,
    after: str,
    actor: str,
    reason: str,
    evidence: list[dict[str, object]],
) -> Transition:
    """The line of history for a change of stage."""
    return Transition(
        version=version,
        from_stage=before,
        to_stage=after,
        actor=actor,
        reason=reason[:2000],
        evidence=evidence,
    )


def _champion(session: Session, model_id: int) -> Version | None:
    return session.scalar(
        select(Version).where(Version.model_id == model_id, Version.stage == Stage.CHAMPION)
    )
