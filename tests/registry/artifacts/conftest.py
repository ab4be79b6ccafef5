"""An artifact store of each kind: a folder, a filesystem of fsspec, and S3."""

import uuid

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from registry.artifacts.store import ArtifactStore
from tests.registry.artifacts.factories import remote_store


@pytest.fixture(scope="session")
def s3_address():
    """Start an S3 server on a free loopback port; return its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_address, monkeypatch):
    """Return the URL of a folder in an empty bucket; the environment has its credentials."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "access",
        "AWS_SECRET_ACCESS_KEY": "hidden-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/team/artifacts"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory_url():
    """Return the URL of a folder in memory."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request, tmp_path):
    """Return an empty store of each kind."""
    if request.param == "folder":
        return ArtifactStore.in_folder(tmp_path / "store")
    return remote_store(request.getfixturevalue(f"{request.param}_url"), tmp_path / "cache")


@pytest.fixture
def local_store(tmp_path):
    """Return an empty store in a folder."""
    return ArtifactStore.in_folder(tmp_path / "store")
