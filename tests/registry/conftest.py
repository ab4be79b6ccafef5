"""Both databases, and runs to register."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from registry.intake import read_submission
from registry.session import open_engine
from registry.store import Registry
from tests.conftest import free_port


def _bin():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL cluster of our own on a free loopback port: the URL of its server."""
    if _bin() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        for parent in folder.parents:
            if parent == Path("/tmp"):
                break
            parent.chmod(0o755)
        user = "postgres"
    port = free_port()

    def call(*words):
        subprocess.run(
            words, check=True, capture_output=True, cwd="/", timeout=120, user=user, group=user
        )

    data = str(folder / "data")
    call(str(_bin() / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    call(str(_bin() / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", f"{folder}/log", "start")
    yield f"postgresql://postgres@127.0.0.1:{port}"
    call(str(_bin() / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A fresh database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = "t" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def registry(url, tmp_path):
    return Registry(open_engine(url), tmp_path / "artifacts")


@pytest.fixture
def submit(tmp_path):
    """Makes the folder of a finished run and reads it as the flow would."""

    def make(name="run", accuracy=0.6, *, flops=1e6, items=400, chance=0.25, partial=False,
             benchmark="b" * 64, contaminated=0):  # fmt: skip
        folder = tmp_path / f"{name}-{accuracy}-{flops}-{benchmark[:4]}-{contaminated}"
        tokenizer = tmp_path / "tokenizer"
        tokenizer.mkdir(exist_ok=True)
        (tokenizer / "spiece.model").write_bytes(b"pieces")
        (folder / "weights").mkdir(parents=True)
        (folder / "weights" / "model.safetensors").write_bytes(f"{name} {accuracy}".encode())
        (folder / "samples.parquet").write_bytes(f"answers {accuracy} {benchmark}".encode())

        def digest(path):
            return hashlib.sha256(path.read_bytes()).hexdigest()

        weights = digest(folder / "weights" / "model.safetensors")
        run = {
            "schema_version": 1, "name": name, "preset": "tiny_dense", "tuned": True, "seed": 0,
            "params": {}, "model": {"moe": None}, "total_parameters": 2000,
            "active_parameters": 1000, "flops_per_token": flops, "training_flops": 1e9,
            "training_seconds": 3.5, "losses": {"validation_loss": 1.0}, "router_health": {},
            "git_commit": "abc", "data_version": "d", "data_hashes": {},
            "sequence": {"encoder_length": 64, "decoder_length": 16},
            "tokenizer_sha256": digest(tokenizer / "spiece.model"), "weights_sha256": weights,
        }  # fmt: skip
        task = {
            "task": "s/t", "suite": "s", "version": 1, "n": items, "accuracy": accuracy,
            "error": 0.01, "random_score": chance, "normalised": 1.0, "file_sha256": benchmark,
            "contaminated": contaminated,
        }  # fmt: skip
        evaluation = {
            "schema_version": 1, "name": name, "accuracy": accuracy, "error": 0.01,
            "chance": chance, "normalised": 1.0, "partial": partial, "items": items,
            "tasks": [task], "weights_sha256": weights,
            "samples_sha256": digest(folder / "samples.parquet"),
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
        return read_submission(folder, tokenizer)

    return make
