"""`dvc push` and `pull`: a second clone trains nothing, and can use a copy of the registry."""

import json
import shutil
import subprocess

import pytest

from tests.factories import Project

pytestmark = [pytest.mark.process, pytest.mark.e2e]


def git(folder, *words):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def dvc(project, *words):
    done = project.dvc(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clone_after_push(project, target, url):
    """Push the cache to a remote, commit dvc.lock, clone the project, and pull there."""
    dvc(project, "remote", "add", "--default", "store", url)
    dvc(project, "push", "-q")
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "results")
    shutil.rmtree(project.folder / ".dvc" / "cache")  # the clone has only the remote
    git(target.parent, "clone", "-q", str(project.folder), str(target))
    clone = Project(target)
    dvc(clone, "pull", "-q")
    return clone


def assert_nothing_to_do(clone):
    assert clone.invoke("digest").returncode == 0
    status = json.loads(dvc(clone, "status", "--json"))
    reasons = [reason for entries in status.values() for reason in entries]
    assert [reason for reason in reasons if reason != "always changed"] == []


def test_clone_after_pull_from_a_folder_retrains_nothing(finished_copy, prefect_server, tmp_path):
    clone = clone_after_push(finished_copy, tmp_path / "clone", str(tmp_path / "remote"))
    assert_nothing_to_do(clone)
    state = clone.folder / ".flanmoe"
    state.mkdir(exist_ok=True)
    source = finished_copy.folder / ".flanmoe"
    shutil.copyfile(source / "registry.db", state / "registry.db")
    shutil.copytree(source / "artifacts", state / "artifacts")
    shutil.rmtree(source / "artifacts")  # the copy stands alone
    done = clone.invoke("run", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 changed" in done.stdout
    versions = json.loads(clone.invoke("registry", "list", "--json").stdout)
    assert len(versions) == 2
    assert clone.invoke("registry", "verify").returncode == 0


@pytest.mark.full
def test_clone_after_pull_from_s3_retrains_nothing(finished_copy, tmp_path, monkeypatch):
    pytest.importorskip("dvc_s3", reason="DVC's S3 remotes need the package dvc-s3")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="team")
        clone = clone_after_push(finished_copy, tmp_path / "clone", "s3://team/flanmoe")
        assert_nothing_to_do(clone)
    finally:
        server.stop()
