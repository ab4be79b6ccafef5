"""Versions of one recipe with other seeds: read together, tested once, promoted as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.comparison.recipe import replicate_differences
from registry.tables import RunRow, VersionRow, VersionState
from registry.versions import VERSION_LOADS, VersionInfo


def find_replicates(session: Session, row: VersionRow) -> list[VersionRow]:
    """Return the newest version of each other seed of a version's recipe.

    Rejected versions and versions that were evaluated on other items are not among them.
    """
    by_seed: dict[int, VersionRow] = {}
    for other in _other_seeds(session, row):
        is_usable = (
            other.status.state != VersionState.REJECTED
            and other.evaluation.items_digest == row.evaluation.items_digest
        )
        if is_usable:
            by_seed.setdefault(other.run.seed, other)
    return list(by_seed.values())


def find_rejected_replicate(session: Session, row: VersionRow) -> VersionRow | None:
    """Return the newest other seed of a version's recipe that a person rejected, if any."""
    others = _other_seeds(session, row)
    return next((v for v in others if v.status.state == VersionState.REJECTED), None)


def choose_candidates(
    session: Session, rows: Sequence[VersionRow], champion: VersionRow | None
) -> list[VersionRow]:
    """Choose one version of each recipe: its seeds are one candidate, which is tested once.

    It is the champion if that is of the recipe, and otherwise the version with the lowest
    validation loss: never the one with the best scores, which would be chosen by chance. A rejected
    version stands for itself.

    Args:
        session: an open transaction.
        rows: versions of one model.
        champion: the present champion; None without one.

    Returns:
        The candidates, in the order of `rows`.
    """
    candidates: list[VersionRow] = []
    grouped: set[int] = set()
    for row in rows:
        if row.id in grouped:
            continue
        if row.status.state == VersionState.REJECTED:
            candidates.append(row)
            continue
        numbers = {replicate.id for replicate in find_replicates(session, row)}
        members = [row, *(other for other in rows if other.id in numbers - grouped)]
        grouped.update(member.id for member in members)
        candidates.append(
            next(
                (member for member in members if champion is not None and member.id == champion.id),
                min(members, key=_validation_loss),
            )
        )
    return candidates


def _other_seeds(session: Session, row: VersionRow) -> Iterator[VersionRow]:
    """Yield the versions of a recipe with other seeds, newest first."""
    run, own = row.run, VersionInfo.from_row(row).run_record
    others = session.scalars(
        select(VersionRow)
        .join(RunRow)
        .where(
            VersionRow.model_id == row.model_id,
            RunRow.seed != run.seed,
            RunRow.data_version == run.data_version,
            RunRow.total_parameters == run.total_parameters,
            RunRow.flops_per_token == run.flops_per_token,
        )
        .order_by(VersionRow.number.desc())
        .options(*VERSION_LOADS)
    ).unique()
    for other in others:
        if not replicate_differences(own, VersionInfo.from_row(other).run_record):
            yield other


def _validation_loss(row: VersionRow) -> tuple[float, int]:
    """Order versions by validation loss, those without one last, and by number."""
    losses = VersionInfo.from_row(row).run_record.losses
    return losses.get("validation_loss", float("inf")), row.number
