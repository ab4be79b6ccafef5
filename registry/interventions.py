"""Decisions of people, which programs respect: roll back, reject, reinstate, pin, describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.errors import InterventionRefused
from registry.history import EventKind, add_event
from registry.lookup import find_champion, find_version, lock_model, remove_alias, set_alias
from registry.tables import (
    CHAMPION,
    AliasRow,
    EventRow,
    ModelRow,
    NoteRow,
    TagRow,
    VersionRow,
    VersionState,
)

MAX_TEXT = 100_000
"""Longest description, note, tag value or reason, in characters."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A dated remark about a version."""

    author: str
    text: str
    at: datetime


def roll_back(
    session: Session,
    model_name: str,
    *,
    actor: str,
    reason: str,
    is_intact: Callable[[VersionRow], bool],
    expected: int | None = None,
) -> tuple[int, int | None]:
    """Make the champion before the present one champion again; programs never promote the latter.

    Earlier champions that were rejected since, or whose artifacts are damaged, are skipped.

    Args:
        session: the open transaction.
        model_name: the registered model.
        actor: the person.
        reason: why; required.
        is_intact: whether the artifacts of a version are complete.
        expected: number of the champion to roll back; None: whichever it is. Of two people who
            roll back the same champion at once, the second is refused.

    Returns:
        Numbers of the champion before and after; None after if there is no earlier champion.

    Raises:
        InterventionRefused: there is no champion, it is not the expected one, or no reason.
        UnknownVersion: the model does not exist.
    """
    reason = _check_reason(reason, "rollback")
    model = lock_model(session, model_name)
    champion = find_champion(session, model_name)
    if champion is None:
        raise InterventionRefused(f"model {model_name!r} has no champion to roll back")
    if expected is not None and champion.number != expected:
        raise InterventionRefused(
            f"the champion of {model_name!r} is version {champion.number}, not {expected}; "
            "`flanmoe registry history` says who changed it"
        )
    target = _earlier_champion(session, model, champion, is_intact)
    _reject(session, champion, actor=actor, reason=f"rollback: {reason}")
    if target is None:
        remove_alias(session, model, CHAMPION)
        return champion.number, None
    target.status.state = VersionState.REGISTERED
    set_alias(session, target, CHAMPION)
    add_event(
        session,
        target,
        EventKind.ROLLED_BACK,
        actor=actor,
        reason=reason,
        details={"from": champion.number},
    )
    return champion.number, target.number


def reject(session: Session, model_name: str, number: int, *, actor: str, reason: str) -> None:
    """Reject a version, so that no program promotes it.

    Raises:
        InterventionRefused: it is the champion, or there is no reason.
        UnknownVersion: the model or version does not exist.
    """
    reason = _check_reason(reason, "reject")
    model = lock_model(session, model_name)
    version = find_version(session, model, number)
    champion = find_champion(session, model_name)
    if champion is not None and champion.id == version.id:
        raise InterventionRefused(
            f"version {number} of {model_name!r} is champion; `flanmoe registry rollback --reason "
            "…` demotes and rejects it"
        )
    _reject(session, version, actor=actor, reason=reason)


def reinstate(session: Session, model_name: str, number: int, *, actor: str, reason: str) -> None:
    """Undo a rejection.

    Raises:
        InterventionRefused: the version is not rejected, or there is no reason.
        UnknownVersion: the model or version does not exist.
    """
    reason = _check_reason(reason, "reinstate")
    version = find_version(session, lock_model(session, model_name), number)
    if version.status.state != VersionState.REJECTED:
        raise InterventionRefused(f"version {number} of {model_name!r} is not rejected")
    version.status.state = VersionState.REGISTERED
    add_event(session, version, EventKind.REINSTATED, actor=actor, reason=reason)


def set_pinned(
    session: Session, model_name: str, number: int, is_pinned: bool, *, actor: str, reason: str
) -> None:
    """Pin or unpin a version; programs do not replace a pinned champion.

    Raises:
        UnknownVersion: the model or version does not exist.
    """
    version = find_version(session, lock_model(session, model_name), number)
    if version.status.is_pinned != is_pinned:
        version.status.is_pinned = is_pinned
        kind = EventKind.PINNED if is_pinned else EventKind.UNPINNED
        add_event(session, version, kind, actor=actor, reason=limit_text(reason, "the reason"))


def name_version(
    session: Session, model_name: str, alias: str, number: int | None, *, actor: str
) -> None:
    """Point an alias to a version, or remove the alias.

    Args:
        session: the open transaction.
        model_name: the registered model.
        alias: any name but `champion`.
        number: the version; None removes the alias.
        actor: the person.

    Raises:
        InterventionRefused: the alias is `champion`, empty, too long, or does not exist.
        UnknownVersion: the model or version does not exist.
    """
    alias = alias.strip()
    if alias == CHAMPION:
        raise InterventionRefused(
            "the alias 'champion' is set by `flanmoe registry promote` and `rollback` only"
        )
    if not alias or len(alias) > 200 or not alias.isprintable():
        raise InterventionRefused(f"alias {alias[:50]!r}: expected 1 to 200 printable characters")
    model = lock_model(session, model_name)
    if number is None:
        row = session.get(AliasRow, (model.id, alias))
        if row is None:
            raise InterventionRefused(f"model {model_name!r} has no alias {alias!r}")
        version = row.version
        remove_alias(session, model, alias)
        kind = EventKind.ALIAS_REMOVED
    else:
        version = find_version(session, model, number)
        set_alias(session, version, alias)
        kind = EventKind.ALIAS_SET
    add_event(session, version, kind, actor=actor, details={"alias": alias})


def set_tag(
    session: Session, model_name: str, number: int, key: str, value: str | None, *, actor: str
) -> None:
    """Set a tag of a version, or remove it if the value is None.

    Raises:
        InterventionRefused: the key is empty or too long, or the value too long.
        UnknownVersion: the model or version does not exist.
    """
    key = key.strip()
    if not key or len(key) > 200 or not key.isprintable():
        raise InterventionRefused(f"tag {key[:50]!r}: expected a key of 1 to 200 characters")
    version = find_version(session, lock_model(session, model_name), number)
    row = session.get(TagRow, (version.id, key))
    if value is None:
        if row is None:
            raise InterventionRefused(f"version {number} of {model_name!r} has no tag {key!r}")
        session.delete(row)
    elif row is None:
        session.add(TagRow(version_id=version.id, key=key, value=limit_text(value, f"tag {key!r}")))
    else:
        row.value = limit_text(value, f"tag {key!r}")
    kind = EventKind.UNTAGGED if value is None else EventKind.TAGGED
    details = {"key": key} if value is None else {"key": key, "value": value}
    add_event(session, version, kind, actor=actor, details=details)


def describe(
    session: Session, model_name: str, number: int | None, text: str, *, actor: str
) -> None:
    """Set the description of a version, or of the model if `number` is None.

    Raises:
        InterventionRefused: the text is too long.
        UnknownVersion: the model or version does not exist.
    """
    text = limit_text(text, "the description")
    model = lock_model(session, model_name)
    if number is None:
        model.description = text
        session.add(
            EventRow(
                model_id=model.id, kind=EventKind.DESCRIBED, actor=actor, reason="", details={}
            )
        )
        return
    version = find_version(session, model, number)
    version.status.description = text
    add_event(session, version, EventKind.DESCRIBED, actor=actor)


def add_note(session: Session, model_name: str, number: int, text: str, *, actor: str) -> None:
    """Add a remark to a version.

    Raises:
        InterventionRefused: the text is empty or too long.
        UnknownVersion: the model or version does not exist.
    """
    text = limit_text(text, "the note").strip()
    if not text:
        raise InterventionRefused("the note is empty; write a text")
    version = find_version(session, lock_model(session, model_name), number)
    session.add(NoteRow(version_id=version.id, author=actor, text=text))
    add_event(session, version, EventKind.NOTED, actor=actor)


def read_notes(session: Session, version: VersionRow) -> list[Note]:
    """Return the remarks about a version, oldest first."""
    query = select(NoteRow).where(NoteRow.version_id == version.id).order_by(NoteRow.id)
    return [Note(author=row.author, text=row.text, at=row.at) for row in session.scalars(query)]


def _reject(session: Session, version: VersionRow, *, actor: str, reason: str) -> None:
    version.status.state = VersionState.REJECTED
    add_event(session, version, EventKind.REJECTED, actor=actor, reason=reason)


def _earlier_champion(
    session: Session,
    model: ModelRow,
    champion: VersionRow,
    is_intact: Callable[[VersionRow], bool],
) -> VersionRow | None:
    """Follow the promotions back from the champion's to a version that can serve."""
    version, before = champion, None
    while True:
        query = (
            select(EventRow)
            .where(EventRow.version_id == version.id, EventRow.kind == EventKind.PROMOTED)
            .order_by(EventRow.id.desc())
            .limit(1)
        )
        if before is not None:
            query = query.where(EventRow.id < before)
        promotion = session.scalar(query)
        number = None if promotion is None else promotion.details.get("previous")
        if promotion is None or number is None:
            return None
        # A version that was champion twice is followed back from its earlier promotion.
        version, before = find_version(session, model, number), promotion.id
        is_usable = version.status.state != VersionState.REJECTED and version.id != champion.id
        if is_usable and is_intact(version):
            return version


def _check_reason(reason: str, command: str) -> str:
    reason = limit_text(reason, "the reason").strip()
    if not reason:
        raise InterventionRefused(f"{command}: the reason is empty; say why with --reason")
    return reason


def limit_text(text: str, what: str) -> str:
    """Return a person's text, after a check that the database can store it.

    Args:
        text: the text.
        what: names it in the error message.

    Raises:
        InterventionRefused: it is longer than MAX_TEXT, or has characters that cannot be stored.
    """
    if len(text) > MAX_TEXT:
        raise InterventionRefused(
            f"{what} has {len(text):,} characters, more than {MAX_TEXT:,}; shorten it, or store "
            "it as a file and name that"
        )
    unusable = next((c for c in text if c == "\0" or "\ud800" <= c <= "\udfff"), None)
    if unusable is not None:
        raise InterventionRefused(f"{what}: the character {unusable!r} is not valid; remove it")
    return text
