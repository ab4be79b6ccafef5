"""Copies of remote blobs: verified, resumed, bounded."""

import dataclasses
import hashlib
import os
import time

import pytest

from registry.artifacts import cache as cache_module
from registry.artifacts.store import ArtifactStore
from registry.errors import DamagedArtifact, StoreUnavailable
from tests.registry.artifacts.factories import CONTENT, remote_store, write_files

WEIGHTS = "weights/model.safetensors"


@pytest.fixture
def remote(memory_url, tmp_path):
    """Return a store whose blobs are not files of this machine."""
    return remote_store(memory_url, tmp_path / "cache")


def copies(store):
    return [p for p in (store.cache.folder / "blobs").glob("*/*") if len(p.name) == 64]


def fresh(store):
    """Return the store as another process opens it: nothing is verified."""
    return ArtifactStore(store.storage, store.cache)


def record_reads(store, monkeypatch):
    """Return the list of (key, offset) that the storage reads from now on."""
    reads, chunks = [], type(store.storage).chunks

    def read(storage, key, offset=0):
        reads.append((key.partition("/")[0], offset))
        return chunks(storage, key, offset)

    monkeypatch.setattr(type(store.storage), "chunks", read)
    return reads


def test_a_blob_is_downloaded_once(remote, tmp_path, monkeypatch):
    digest = remote.put(write_files(tmp_path / "run"))
    reads = record_reads(remote, monkeypatch)
    remote.file(digest, WEIGHTS)
    fresh(remote).file(digest, WEIGHTS)
    assert reads.count(("blobs", 0)) == 1


@pytest.mark.parametrize("change", [lambda data: bytes(len(data)), lambda data: data[:10]])
def test_a_damaged_copy_is_downloaded_again(remote, tmp_path, change):
    digest = remote.put(write_files(tmp_path / "run"))
    path = remote.file(digest, WEIGHTS)
    path.write_bytes(change(CONTENT[WEIGHTS]))
    assert fresh(remote).file(digest, WEIGHTS).read_bytes() == CONTENT[WEIGHTS]


def partial_file(store):
    sha256 = hashlib.sha256(CONTENT[WEIGHTS]).hexdigest()
    path = store.cache.folder / "blobs" / sha256[:2] / f"{sha256}.partial"
    path.parent.mkdir(parents=True)
    return path


def test_an_interrupted_download_resumes(remote, tmp_path, monkeypatch):
    digest = remote.put(write_files(tmp_path / "run"))
    partial_file(remote).write_bytes(CONTENT[WEIGHTS][:5000])
    reads = record_reads(remote, monkeypatch)
    assert remote.file(digest, WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert [offset for kind, offset in reads if kind == "blobs"] == [5000]


@pytest.mark.parametrize("start", [b"other" * 1000, b"x" * 10_000])
def test_a_damaged_start_of_a_download_is_replaced(remote, tmp_path, start):
    digest = remote.put(write_files(tmp_path / "run"))
    partial_file(remote).write_bytes(start)
    assert remote.file(digest, WEIGHTS).read_bytes() == CONTENT[WEIGHTS]


def test_a_blob_that_is_damaged_in_the_store_is_no_copy(remote, tmp_path):
    digest = remote.put(write_files(tmp_path / "run"))
    sha256 = hashlib.sha256(CONTENT[WEIGHTS]).hexdigest()
    remote.storage.write(bytes(7000), f"blobs/{sha256[:2]}/{sha256}")
    with pytest.raises(DamagedArtifact, match="does not match its checksum in the artifact store"):
        remote.file(digest, WEIGHTS)
    assert copies(remote) == []


def test_the_least_recently_used_copies_make_space(remote, tmp_path, monkeypatch):
    bounded = ArtifactStore(remote.storage, dataclasses.replace(remote.cache, max_bytes=2500))
    digests = [
        bounded.put(write_files(tmp_path / f"run{i}", {"weights": bytes([i]) * 1000}))
        for i in range(3)
    ]
    paths = []
    for age, digest in zip((9000, 8000, 0), digests, strict=True):
        paths.append(bounded.local_folder(digest) / "weights")
        copy = paths[-1].resolve()
        os.utime(copy, (time.time() - age,) * 2)
    assert [path.exists() for path in paths] == [False, True, True]
    monkeypatch.setattr(cache_module, "IN_USE_S", 10_000.0)
    bounded.local_folder(digests[0])  # the others were used too recently
    assert [path.exists() for path in paths] == [True, True, True]


def test_a_cache_that_cannot_be_written_is_named(remote, tmp_path):
    digest = remote.put(write_files(tmp_path / "run"))
    remote.cache.folder.write_text("a file")
    with pytest.raises(StoreUnavailable, match=f"artifact cache {remote.cache.folder}: "):
        remote.file(digest, WEIGHTS)
