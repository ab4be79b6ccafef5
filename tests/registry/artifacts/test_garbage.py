"""Objects that no version needs are deleted after a grace period, and only by their owner."""

import pytest

from registry.artifacts.garbage import GRACE_S, claim_store, delete_objects, list_old_objects
from registry.errors import StoreUnavailable
from tests.registry.artifacts.factories import CONTENT, make_older, stored_keys, write_files

OWNER = "a" * 16


def collect(store, needed_keys, grace_s=GRACE_S):
    """Delete what is old and not needed; return the number of objects."""
    old = list_old_objects(store, OWNER, grace_s=grace_s)
    garbage = [entry for entry in old if entry.key not in needed_keys]
    delete_objects(store, garbage)
    return len(garbage)


def test_only_old_objects_that_nothing_needs_are_deleted(local_store, tmp_path):
    needed = local_store.put(write_files(tmp_path / "a"))
    local_store.put(write_files(tmp_path / "b", {**CONTENT, "samples.parquet": b"old"}))
    assert collect(local_store, local_store.keys(needed)) == 0
    make_older(local_store, GRACE_S + 1)
    young = local_store.put(write_files(tmp_path / "c", {"samples.parquet": b"young"}))
    assert collect(local_store, local_store.keys(needed)) == 2  # the samples and the manifest
    assert stored_keys(local_store) == local_store.keys(needed) | local_store.keys(young)
    assert local_store.verify(needed) == local_store.verify(young) == []


def test_the_remains_of_a_killed_registration_are_deleted(local_store):
    partial = local_store.storage.root / ".partial" / "x"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half")
    blob = local_store.storage.root / "blobs" / "00" / ("0" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"a blob without a manifest")
    assert collect(local_store, set()) == 0
    make_older(local_store, GRACE_S + 1)
    assert collect(local_store, set()) == 2
    assert stored_keys(local_store) == set()


def test_content_that_is_stored_again_is_not_deleted(local_store, tmp_path):
    """An old blob without a version, which a registration in progress refers to again."""
    files = write_files(tmp_path / "run")
    local_store.put(files)
    make_older(local_store, GRACE_S + 1)
    old = list_old_objects(local_store, OWNER)
    assert len(old) == len(stored_keys(local_store))
    digest = local_store.put(files)
    delete_objects(local_store, old)
    assert list_old_objects(local_store, OWNER) == []
    assert local_store.verify(digest) == []


def test_a_store_of_two_registries_is_not_collected(store, tmp_path):
    store.put(write_files(tmp_path / "run"))
    claim_store(store, OWNER)
    claim_store(store, OWNER)
    assert list_old_objects(store, OWNER, grace_s=-1) != []
    claim_store(store, "b" * 16)
    with pytest.raises(StoreUnavailable, match="another registry uses it as well, so nothing"):
        list_old_objects(store, OWNER, grace_s=-1)


def test_objects_of_every_kind_of_store_are_deleted(store, tmp_path):
    needed = store.put(write_files(tmp_path / "a"))
    store.put(write_files(tmp_path / "b", {"run.json": b"unneeded"}))
    assert collect(store, store.keys(needed), grace_s=-1) == 2
    assert stored_keys(store) == store.keys(needed)
