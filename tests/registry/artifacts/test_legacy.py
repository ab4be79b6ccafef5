"""Folders that release 0.1.0 recorded by absolute paths."""

import os
import shutil

import pytest

from registry.artifacts.store import ArtifactStore
from registry.errors import DamagedArtifact, MissingArtifact
from tests.registry.artifacts.factories import CONTENT, write_files

WEIGHTS = "weights/model.safetensors"


@pytest.fixture
def reference(local_store):
    """Write a folder of release 0.1.0 into the store; return the path in the database."""
    folder = local_store.storage.root / "0123abcd"
    write_files(folder)
    return str(folder)


def test_a_folder_is_read_where_it_was_recorded(local_store, reference):
    assert (local_store.local_folder(reference) / WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert local_store.file(reference, WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert set(local_store.manifest(reference).by_path) == set(CONTENT)
    assert local_store.verify(reference) == []


def test_a_folder_is_read_in_the_store_of_a_moved_project(local_store, reference, tmp_path):
    os.rename(local_store.storage.root, tmp_path / "moved")
    moved = ArtifactStore.in_folder(tmp_path / "moved")
    assert moved.file(reference, WEIGHTS).is_relative_to(tmp_path / "moved")
    assert moved.verify(reference) == []


def test_a_folder_is_replaced_by_an_artifact(local_store, reference, tmp_path):
    digest = local_store.put(write_files(tmp_path / "run"))
    local_store.replace_legacy(reference, digest)
    shutil.rmtree(reference)
    assert local_store.manifest(reference).digest == digest
    assert (local_store.local_folder(reference) / WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert local_store.keys(reference) == local_store.keys(digest)
    local_store.storage.write(b"../../etc", "legacy/0123abcd")
    with pytest.raises(DamagedArtifact, match="legacy/0123abcd is not a checksum"):
        local_store.manifest(reference)


@pytest.mark.parametrize("reference", ["/gone/0123abcd", "", "/", ".."])
def test_a_missing_folder_is_named(local_store, reference):
    local_store.storage.root.mkdir()
    with pytest.raises(MissingArtifact, match=r"is missing, and .* has no") as failure:
        local_store.file(reference, WEIGHTS)
    assert "\n" not in str(failure.value)
    assert len(local_store.verify(reference)) == 1
