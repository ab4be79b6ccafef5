"""Deletion of stored objects that no version needs.

An object is deleted only if it is older than a grace period: a registration stores its files
before the database refers to them. What a killed registration stored is deleted after that time.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from registry.artifacts.storage import StoredObject
from registry.artifacts.store import ArtifactStore
from registry.errors import StoreUnavailable

GRACE_S = 24 * 3600.0
"""Age from which an object without a version is deleted. It must exceed the duration of a
registration, and `store.REFRESH_AGE_S`."""
_OWNERS = "registries"


def claim_store(store: ArtifactStore, registry_id: str) -> None:
    """Record that a registry uses a store, so that no other registry deletes its objects."""
    key = f"{_OWNERS}/{registry_id}"
    if store.storage.stat(key) is None:
        store.storage.write(b"", key)


def find_garbage(
    store: ArtifactStore,
    needed_keys: Collection[str],
    registry_id: str,
    *,
    grace_s: float = GRACE_S,
) -> list[StoredObject]:
    """Return the objects that nothing needs, oldest first.

    Args:
        store: the store.
        needed_keys: keys of the objects that versions need.
        registry_id: the registry whose versions these are.
        grace_s: smallest age of an object to delete, in seconds.

    Raises:
        StoreUnavailable: the store cannot be read, or another registry uses it as well.
    """
    claim_store(store, registry_id)
    owners = {entry.key.rpartition("/")[2] for entry in store.storage.list(_OWNERS)}
    if owners != {registry_id}:
        raise StoreUnavailable(
            f"artifact store {store.storage.location}: {len(owners)} registries use it, so nothing "
            f"is deleted; set registry.artifacts to a store of their own in all but one, and "
            f"delete their files in {_OWNERS}/"
        )
    oldest = time.time() - grace_s
    garbage = [
        entry
        for entry in store.objects()
        if entry.key not in needed_keys and entry.modified < oldest
    ]
    return sorted(garbage, key=lambda entry: entry.modified)


def delete_garbage(store: ArtifactStore, garbage: Sequence[StoredObject]) -> int:
    """Delete objects unless they were renewed in the meantime; return the bytes that this frees."""
    num_bytes = 0
    for entry in garbage:
        now = store.storage.stat(entry.key)
        if now is not None and now.modified == entry.modified:
            store.storage.delete(entry.key)
            num_bytes += entry.size
    return num_bytes
