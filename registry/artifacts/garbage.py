"""Deletion of stored objects that no version needs.

An object is deleted only if it is older than a grace period: a registration stores its files
before the database refers to them. What a killed registration stored is deleted after that time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from registry.artifacts.storage import StoredObject
from registry.artifacts.store import ArtifactStore
from registry.errors import StoreUnavailable

GRACE_S = 24 * 3600.0
"""Age from which an object without a version is deleted. It must exceed the duration of a
registration, and `blobs.REFRESH_AGE_S`."""
_OWNERS = "registries"


def claim_store(store: ArtifactStore, registry_id: str) -> None:
    """Record that a registry uses a store, so that no other registry deletes its objects."""
    key = f"{_OWNERS}/{registry_id}"
    if store.storage.stat(key) is None:
        store.storage.write(b"", key)


def list_old_objects(
    store: ArtifactStore, registry_id: str, *, grace_s: float = GRACE_S
) -> list[StoredObject]:
    """Return the objects that are old enough to be deleted if no version needs them.

    Args:
        store: the store.
        registry_id: the registry that is about to delete objects.
        grace_s: smallest age of an object to delete, in seconds.

    Raises:
        StoreUnavailable: the store cannot be read, or another registry uses it as well.
    """
    owners = {entry.key.rpartition("/")[2] for entry in store.storage.list(_OWNERS)}
    if owners - {registry_id}:
        raise StoreUnavailable(
            f"artifact store {store.storage.location}: another registry uses it as well, so "
            "nothing is deleted; set registry.artifacts to a store of its own in one of them, and "
            f"delete its file in {_OWNERS}/ ({registry_id} is this one)"
        )
    oldest = time.time() - grace_s
    return [entry for entry in store.objects() if entry.modified < oldest]


def delete_objects(store: ArtifactStore, entries: Sequence[StoredObject]) -> None:
    """Delete objects, except those that were written again since they were listed."""
    for entry in entries:
        now = store.storage.stat(entry.key)
        if now is not None and now.modified == entry.modified:
            store.storage.delete(entry.key)
