"""Files and stores for the tests of artifacts."""

from __future__ import annotations

import os
import time

from registry.artifacts.cache import ArtifactCache
from registry.artifacts.remote_storage import RemoteStorage
from registry.artifacts.store import ArtifactStore

CONTENT = {
    "weights/model.safetensors": b"weights" * 1000,
    "weights/config.json": b"{}",
    "samples.parquet": b"PAR1",
}


def write_files(folder, content=None):
    """Write files; return path in the artifact -> file."""
    files = {}
    for path, data in (CONTENT if content is None else content).items():
        files[path] = folder / path
        files[path].parent.mkdir(parents=True, exist_ok=True)
        files[path].write_bytes(data)
    return files


def stored_keys(store):
    """Return the keys of all blobs and manifests."""
    return {entry.key for entry in store.objects()}


def make_older(store, seconds):
    """Make every object of a local store older."""
    for entry in store.objects():
        path = store.storage.local_path(entry.key)
        os.utime(path, (time.time() - seconds, entry.modified - seconds))


def remote_store(url, cache):
    """Open a store at a URL, with a cache folder of its own."""
    return ArtifactStore(RemoteStorage.open(url), ArtifactCache(cache))
