"""Retention: which versions keep their weights, and the removal of the others'.

The records and samples of a version are evidence and are never removed: comparisons, the frontier
and `verify` work without weights. Weights and tokenizer of a version can be stored again from the
folder of its run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry.artifacts.blobs import RESTORE
from registry.artifacts.garbage import GRACE_S, claim_store, delete_objects, list_old_objects
from registry.artifacts.storage import StoredObject
from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import RECORDS, has_model_files
from registry.history import EventKind, add_event
from registry.lookup import find_model, find_version
from registry.session import reading, transaction
from registry.tables import EvaluationRow, EventRow, ModelRow, RunRow, VersionRow, as_utc
from registry.versions import VersionInfo

_CHAMPION_EVENTS = (EventKind.PROMOTED, EventKind.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True)
class RetentionRules:
    """Which versions keep their weights; a version that meets any rule does.

    Champions, versions with an alias and pinned versions always do.
    """

    keep: int = 10
    """The newest versions of each model, by number."""
    older_than_days: float = 30.0
    """Versions that were registered within this time."""
    champions: int = 5
    """The last champions of each model, to which a rollback returns."""


@dataclass(frozen=True, kw_only=True)
class RemovedFiles:
    """The weights and tokenizer of a version that were removed."""

    model: str
    version: int
    name: str
    """Name of the run in params.yaml."""
    num_bytes: int
    """Bytes of the files that no other version needs."""


@dataclass(frozen=True, kw_only=True)
class CollectionReport:
    """What a garbage collection removed, or would remove."""

    versions: tuple[RemovedFiles, ...]
    num_unreferenced: int
    """Objects without a version: of interrupted registrations."""
    num_bytes: int
    """Bytes of all removed objects."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def collect_garbage(
    engine: Engine,
    store: ArtifactStore,
    rules: RetentionRules,
    *,
    actor: str,
    dry_run: bool = False,
    grace_s: float = GRACE_S,
) -> CollectionReport:
    """Remove the weights that the rules do not retain, and the remains of killed registrations.

    The models stay locked until the files are deleted, so that no version is promoted, pinned or
    named in the meantime.

    Args:
        engine: the registry's database.
        store: its artifact store.
        rules: which versions keep their weights.
        actor: person or program, for the history.
        dry_run: whether to report only.
        grace_s: smallest age of an object to remove, in seconds.

    Raises:
        StoreUnavailable: the store cannot be read or written, or another registry uses it as well.
        MissingArtifact: the manifest of a version is missing, so that nothing shows which files it
            needs; nothing is removed.
        DamagedArtifact: the manifest of a version is damaged; nothing is removed.
    """
    store = ArtifactStore(store.storage, store.cache)  # which has read nothing yet
    with reading(engine) as session:
        registry_id = identify_registry(session)
    if registry_id is None:
        return CollectionReport(versions=(), num_unreferenced=0, num_bytes=0)
    old_objects = list_old_objects(store, registry_id, grace_s=grace_s)
    read_keys = cache(store.keys)
    with reading(engine) as session:  # read the manifests before the models are locked
        _needed_keys(_all_versions(session), (), read_keys)
    with transaction(engine) as session:
        session.execute(select(ModelRow.id).with_for_update())
        versions = _all_versions(session)
        released_ids = _released_ids(session, versions, rules)
        released = [version for version in versions if version.id in released_ids]
        needed = _needed_keys(versions, released, read_keys)
        garbage = {entry.key: entry for entry in old_objects if entry.key not in needed}
        report = _report(released, garbage, read_keys)
        if not dry_run:
            claim_store(store, registry_id)
            _add_events(session, released, report, actor)
            delete_objects(store, list(garbage.values()))
    return report


def identify_registry(session: Session) -> str | None:
    """Return a digest of the first version, which differs between registries; None without one."""
    first = session.scalar(select(VersionRow).order_by(VersionRow.id).limit(1))
    if first is None:
        return None
    key = f"{first.digest} {as_utc(first.created_at).isoformat()}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def removal_time(session: Session, version: VersionRow) -> datetime | None:
    """Return when the weights of a version were removed; None if they never were."""
    return session.scalar(
        select(EventRow.at)
        .where(EventRow.version_id == version.id, EventRow.kind == EventKind.FILES_REMOVED)
        .order_by(EventRow.id.desc())
        .limit(1)
    )


def describe_removal(engine: Engine, store: ArtifactStore, version: VersionInfo) -> str:
    """Describe when the weights of a version were removed; empty if they are there."""
    with reading(engine) as session:
        row = find_version(session, find_model(session, version.model), version.version)
        removed_at = removal_time(session, row)
    if removed_at is None or has_model_files(store, version):
        return ""
    return (
        f"version {version.version} of {version.model!r}: retention removed its weights on "
        f"{removed_at:%Y-%m-%d}; {RESTORE}"
    )


def _all_versions(session: Session) -> Sequence[VersionRow]:
    query = (
        select(VersionRow)
        .order_by(VersionRow.id)
        .options(
            joinedload(VersionRow.model),
            joinedload(VersionRow.status),
            joinedload(VersionRow.run).load_only(RunRow.name),
            selectinload(VersionRow.aliases),
            selectinload(VersionRow.evaluations).load_only(EvaluationRow.artifact),
        )
    )
    return session.scalars(query).all()


def _released_ids(
    session: Session, versions: Sequence[VersionRow], rules: RetentionRules
) -> set[int]:
    """Return the versions that no rule retains."""
    oldest = datetime.now(UTC) - timedelta(days=rules.older_than_days)
    released = {
        version.id
        for version in versions
        if as_utc(version.created_at) < oldest
        and not version.status.is_pinned
        and not version.aliases
    }
    for model in {version.model_id for version in versions}:
        numbers = sorted((v.number, v.id) for v in versions if v.model_id == model)
        if rules.keep:
            released -= {version_id for _, version_id in numbers[-rules.keep :]}
        champions = session.scalars(
            select(EventRow.version_id)
            .where(EventRow.model_id == model, EventRow.kind.in_(_CHAMPION_EVENTS))
            .order_by(EventRow.id.desc())
        )
        released -= set(list(dict.fromkeys(champions))[: rules.champions])
    return released


def _needed_keys(
    versions: Sequence[VersionRow],
    released: Sequence[VersionRow],
    read_keys: Callable[[str, tuple[str, ...] | None], set[str]],
) -> set[str]:
    """Return the keys of all files of the retained versions, and of the records of the others."""
    released_ids = {version.id for version in released}
    keys: set[str] = set()
    for version in versions:
        keys |= read_keys(version.artifact, RECORDS if version.id in released_ids else None)
        for evaluation in version.evaluations:
            keys |= read_keys(evaluation.artifact, RECORDS)
    return keys


def _report(
    released: Sequence[VersionRow],
    garbage: dict[str, StoredObject],
    read_keys: Callable[[str, tuple[str, ...] | None], set[str]],
) -> CollectionReport:
    removed, of_versions = [], set()
    for version in released:
        keys = read_keys(version.artifact, None) & garbage.keys()
        of_versions |= keys
        if keys:
            removed.append(
                RemovedFiles(
                    model=version.model.name,
                    version=version.number,
                    name=version.run.name,
                    num_bytes=sum(garbage[key].size for key in keys),
                )
            )
    return CollectionReport(
        versions=tuple(removed),
        num_unreferenced=len(garbage.keys() - of_versions),
        num_bytes=sum(entry.size for entry in garbage.values()),
    )


def _add_events(
    session: Session, released: Collection[VersionRow], report: CollectionReport, actor: str
) -> None:
    num_bytes = {(entry.model, entry.version): entry.num_bytes for entry in report.versions}
    for version in released:
        size = num_bytes.get((version.model.name, version.number))
        if size is not None:
            add_event(
                session,
                version,
                EventKind.FILES_REMOVED,
                actor=actor,
                reason="weights and tokenizer removed by retention",
                details={"num_bytes": size},
            )
