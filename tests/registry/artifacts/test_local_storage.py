"""A store in a folder: permissions, and what a full disk, a quota or a killed writer leaves."""

import os
import resource
import shutil
import signal
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.artifacts.store import ArtifactStore
from registry.errors import StoreUnavailable
from tests.registry.artifacts.factories import CONTENT, stored_keys, write_files

NOBODY = 65534


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value):
    previous = os.umask(value)
    try:
        yield
    finally:
        os.umask(previous)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_store_is_readable_by_the_group_whatever_the_umask(local_store, tmp_path, mask):
    with umask(mask):
        local_store.put(write_files(tmp_path / "run"))
    root = local_store.storage.root
    assert permissions(root) == 0o750
    for path in root.rglob("*"):
        assert permissions(path) == (0o750 if path.is_dir() else 0o440)


def test_the_permissions_of_an_existing_store_hold_for_what_is_written(local_store, tmp_path):
    root = local_store.storage.root
    root.mkdir()
    root.chmod(0o2775)
    with umask(0o077):
        local_store.put(write_files(tmp_path / "run"))
    assert permissions(root) == 0o2775
    for path in root.rglob("*"):
        # New folders inherit the set-group-ID bit; others can read what they can list.
        assert permissions(path) == (0o2775 if path.is_dir() else 0o444)


@pytest.fixture
def public_folder():
    """Return a folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def unprivileged():
    """Run as a user without privileges, if this process is root, which may write everywhere."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_read_only_store_is_read_and_a_write_fails_in_a_single_line(public_folder):
    store = ArtifactStore.in_folder(public_folder / "store")
    with umask(0):
        store.storage.root.mkdir(mode=0o755)
        digest = store.put(write_files(public_folder / "run"))
        other = write_files(public_folder / "other", {"run.json": b"other"})
    for folder in [store.storage.root, *filter(Path.is_dir, store.storage.root.rglob("*"))]:
        folder.chmod(0o555)
    with unprivileged():
        reader = ArtifactStore.in_folder(public_folder / "store")
        assert reader.verify(digest) == []
        assert reader.file(digest, "samples.parquet").read_bytes() == CONTENT["samples.parquet"]
        with pytest.raises(
            StoreUnavailable, match="Permission denied; get access to it"
        ) as failure:
            reader.put(other)
        with pytest.raises(StoreUnavailable, match="Permission denied"):
            reader.check_writable()
    assert str(failure.value).startswith(f"artifact store {store.storage.root}: ")
    assert "\n" not in str(failure.value)
    for folder in [store.storage.root, *filter(Path.is_dir, store.storage.root.rglob("*"))]:
        folder.chmod(0o755)


def test_a_full_disk_fails_in_a_single_line_and_leaves_nothing(local_store, tmp_path):
    """A limit of the file size, which the kernel enforces like a quota."""
    files = write_files(tmp_path / "run", {"weights/model.safetensors": bytes(100_000)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(
            StoreUnavailable, match="free space with `flanmoe registry gc`"
        ) as failure:
            local_store.put(files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(failure.value)
    assert stored_keys(local_store) == set()


def test_a_store_that_is_a_file_is_rejected(tmp_path):
    (tmp_path / "store").write_text("")
    store = ArtifactStore.in_folder(tmp_path / "store")
    with pytest.raises(StoreUnavailable, match="correct registry"):
        store.put(write_files(tmp_path / "run"))


@pytest.mark.process
def test_a_killed_writer_leaves_only_partial_files(local_store, tmp_path):
    files = write_files(tmp_path / "run", {f"f{i}": os.urandom(2**20) for i in range(20)})
    process = os.fork()
    if process == 0:
        while True:
            local_store.put(files)
            shutil.rmtree(local_store.storage.root)
    time.sleep(0.15)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    for entry in local_store.objects():
        if not entry.key.startswith(".partial/"):
            assert entry.size == 2**20 or entry.key.startswith("manifests/")
    digest = local_store.put(files)
    assert local_store.verify(digest) == []
