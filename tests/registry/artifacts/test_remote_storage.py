"""A store at a URL: failures in one line, without secrets."""

import fsspec
import pytest
import s3fs

from registry.artifacts.remote_storage import RemoteStorage, without_secrets
from registry.artifacts.store import ArtifactStore
from registry.errors import StoreUnavailable
from tests.registry.artifacts.factories import remote_store, write_files


def failure_of(call):
    with pytest.raises(StoreUnavailable) as failure:
        call()
    text = str(failure.value)
    assert "\n" not in text
    assert "hidden" not in text
    assert "registry.artifacts" in text
    return text


def test_a_bucket_that_does_not_exist_is_named(s3_url, tmp_path):
    store = remote_store("s3://no-such-bucket/x", tmp_path / "cache")
    text = failure_of(lambda: store.put(write_files(tmp_path / "run")))
    assert text.startswith("artifact store s3://no-such-bucket/x: ")
    assert "bucket" in text.lower()


def test_missing_credentials_are_named(s3_url, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    store = remote_store(s3_url, tmp_path / "cache")
    text = failure_of(lambda: store.put(write_files(tmp_path / "run")))
    assert "credentials" in text


def test_a_server_that_does_not_answer_is_named(s3_url, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    store = remote_store(s3_url, tmp_path / "cache")
    assert "127.0.0.1:9" in failure_of(lambda: store.manifest("0" * 64))


def test_a_package_that_is_not_installed_is_named():
    assert "sftp://" in failure_of(lambda: RemoteStorage.open("sftp://me:hidden@host/x"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("sftp://me:hidden@host/x", "sftp://***@host/x"),
        ("https://host/x?token=hidden", "https://host/x"),
    ],
)
def test_secrets_are_not_shown(url, shown):
    assert without_secrets(url) == shown


def test_a_filesystem_without_atomic_writes_is_written_beside_and_moved(tmp_path):
    """The local filesystem of fsspec stands for sftp, which is one of those."""
    storage = RemoteStorage(fsspec.filesystem("file"), str(tmp_path / "store"), "file://store")
    storage.write(b"content", "blobs/ab/x")
    assert b"".join(storage.chunks("blobs/ab/x", 3)) == b"tent"
    assert [entry.key for entry in storage.list("blobs")] == ["blobs/ab/x"]
    assert list(storage.list_partial()) == []
    (tmp_path / "store" / ".partial" / "half").write_bytes(b"con")
    assert [entry.key for entry in storage.list_partial()] == [".partial/half"]


def test_the_configured_url_is_opened(tmp_path, memory_url):
    from sqlalchemy import make_url

    sqlite, server = make_url(f"sqlite:///{tmp_path}/state/x.db"), make_url("postgresql://host/x")
    location = {
        (configured, url): ArtifactStore.open(tmp_path, url, configured).storage.location
        for configured in ("", "store", "/store", "file:///store", memory_url)
        for url in (sqlite, server)
    }
    for url in (sqlite, server):
        assert location["store", url] == str(tmp_path / "store")
        assert location["/store", url] == location["file:///store", url] == "/store"
        assert location[memory_url, url] == memory_url
    assert location["", sqlite] == str(tmp_path / "state" / "artifacts")
    assert location["", server] == str(tmp_path / ".flanmoe" / "artifacts")
