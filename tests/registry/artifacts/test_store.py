"""Artifacts by content, in a folder, in memory and in S3."""

import hashlib
import os
import threading

import pytest

from registry.artifacts.store import ArtifactStore
from registry.errors import DamagedArtifact, MissingArtifact, StoreUnavailable
from tests.registry.artifacts.factories import CONTENT, remote_store, stored_keys, write_files

WEIGHTS = "weights/model.safetensors"


def blob_key(data):
    digest = hashlib.sha256(data).hexdigest()
    return f"blobs/{digest[:2]}/{digest}"


def test_stored_files_are_read_back_after_their_source_is_gone(store, tmp_path):
    files = write_files(tmp_path / "run")
    digest = store.put(files)
    for path in files.values():
        path.unlink()
    folder = store.local_folder(digest)
    assert {p: (folder / p).read_bytes() for p in CONTENT} == CONTENT
    assert store.file(digest, WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert store.verify(digest) == []


def test_keys_are_checksums_of_the_content(store, tmp_path):
    digest = store.put(write_files(tmp_path / "run"))
    assert stored_keys(store) == {
        *map(blob_key, CONTENT.values()), f"manifests/{digest[:2]}/{digest}",
    }  # fmt: skip
    assert store.keys(digest) == stored_keys(store)
    assert store.keys(digest, ["samples.parquet"]) == {
        blob_key(CONTENT["samples.parquet"]), f"manifests/{digest[:2]}/{digest}",
    }  # fmt: skip


def test_equal_content_is_stored_once(store, tmp_path):
    digest = store.put(write_files(tmp_path / "a"))
    num_objects = len(stored_keys(store))
    assert store.put(write_files(tmp_path / "b")) == digest
    other = store.put(write_files(tmp_path / "c", {**CONTENT, "samples.parquet": b"other"}))
    assert other != digest
    assert len(stored_keys(store)) == num_objects + 2  # the samples and the manifest


# The filesystem in memory, which is one process's own, is not for several threads.
@pytest.mark.parametrize("store", ["folder", "s3"], indirect=True)
def test_concurrent_writers_of_the_same_content_do_not_disturb_each_other(store, tmp_path):
    files = write_files(tmp_path / "run", {f"f{i}": bytes([i]) * 10_000 for i in range(8)})
    digests = []
    threads = [threading.Thread(target=lambda: digests.append(store.put(files))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 6
    assert len(set(digests)) == 1
    assert store.verify(digests[0]) == []
    assert len(stored_keys(store)) == 9


def test_selected_files_need_no_others(store, tmp_path):
    digest = store.put(write_files(tmp_path / "run"))
    store.storage.delete(blob_key(CONTENT[WEIGHTS]))
    folder = store.local_folder(digest, ["samples.parquet"])
    assert [path.name for path in folder.iterdir()] == ["samples.parquet"]
    with pytest.raises(MissingArtifact, match=r"weights/model.safetensors .* is missing; restore"):
        store.local_folder(digest)
    with pytest.raises(MissingArtifact, match=r"has no file 'no\.json'"):
        store.file(digest, "no.json")


@pytest.mark.parametrize("change", ["zeroed", "truncated", "deleted"])
def test_a_damaged_blob_is_named_and_restored_by_storing_it_again(store, tmp_path, change):
    files = write_files(tmp_path / "run")
    digest = store.put(files)
    key, data = blob_key(CONTENT[WEIGHTS]), CONTENT[WEIGHTS]
    if change == "deleted":
        store.storage.delete(key)
    else:
        store.storage.write(bytes(len(data)) if change == "zeroed" else data[:100], key)
    (fault,) = store.verify(digest)
    assert WEIGHTS in fault
    assert "restore it with `flanmoe registry register FOLDER`" in fault
    with pytest.raises(MissingArtifact if change == "deleted" else DamagedArtifact) as failure:
        store.local_folder(digest)
    assert WEIGHTS in str(failure.value)
    removed = store.verify(digest, removed=["weights"])
    assert removed == ([] if change == "deleted" else [fault])
    assert store.file(digest, "samples.parquet").read_bytes() == CONTENT["samples.parquet"]
    store.put(files, check_existing=True)
    assert store.verify(digest) == []
    assert (store.local_folder(digest) / WEIGHTS).read_bytes() == data


def test_a_damaged_or_missing_manifest_is_named_and_restored(store, tmp_path):
    files = write_files(tmp_path / "run")
    digest = store.put(files)
    key = f"manifests/{digest[:2]}/{digest}"
    store.storage.write(b"{}", key)
    assert "does not match its checksum" in store.verify(digest)[0]
    store.storage.delete(key)
    assert f"has no artifact {digest}" in store.verify(digest)[0]
    assert store.put(files) == digest
    assert store.verify(digest) == []


def test_a_store_that_can_be_written_passes_the_check(store):
    store.check_writable()
    assert stored_keys(store) == set()


def test_a_missing_store_is_empty(store):
    assert list(store.objects()) == []
    with pytest.raises(MissingArtifact, match=f"has no artifact {'0' * 64}"):
        store.manifest("0" * 64)


def test_a_moved_store_is_complete(local_store, tmp_path):
    digest = local_store.put(write_files(tmp_path / "run"))
    local_store.local_folder(digest)
    (tmp_path / "moved").mkdir()
    for name in ("store", "artifact_cache"):
        os.rename(tmp_path / name, tmp_path / "moved" / name)
    moved = ArtifactStore.in_folder(tmp_path / "moved" / "store")
    folder = moved.local_folder(digest)
    assert folder.is_relative_to(tmp_path / "moved")
    assert {p: (folder / p).read_bytes() for p in CONTENT} == CONTENT


def test_a_second_machine_finds_the_artifacts(s3_url, tmp_path):
    digest = remote_store(s3_url, tmp_path / "first").put(write_files(tmp_path / "run"))
    second = remote_store(s3_url, tmp_path / "second")
    folder = second.local_folder(digest)
    assert (folder / WEIGHTS).read_bytes() == CONTENT[WEIGHTS]
    assert folder.is_relative_to(tmp_path / "second")


def test_a_file_that_changes_while_it_is_stored_is_rejected(local_store, tmp_path, monkeypatch):
    files = write_files(tmp_path / "run")
    put = type(local_store.storage).put

    def change_and_put(storage, source, key):
        if source == files[WEIGHTS]:
            source.write_bytes(b"other")
        put(storage, source, key)

    monkeypatch.setattr(type(local_store.storage), "put", change_and_put)
    with pytest.raises(DamagedArtifact, match="changed while it was stored"):
        local_store.put(files)
    assert blob_key(CONTENT[WEIGHTS]) not in stored_keys(local_store)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s4://bucket/x", "s4://bucket/x is not a URL that fsspec opens"),
        ("nosuch://me:hidden@host/x", r"nosuch://\*\*\*@host/x is not a URL"),
    ],
)
def test_a_url_of_an_unknown_kind_is_rejected(tmp_path, url, message):
    with pytest.raises(StoreUnavailable, match=message) as failure:
        remote_store(url, tmp_path)
    assert "hidden" not in str(failure.value)
    assert "\n" not in str(failure.value)
