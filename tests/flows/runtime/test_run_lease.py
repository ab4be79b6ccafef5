"""Leases of flow runs: when the process of a run counts as gone."""

import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from data_pipelines.files import write_json
from flows.runtime import run_lease
from flows.runtime.run_lease import (
    LEASE_S,
    create_lease,
    is_lease_void,
    list_leases,
    read_lease,
    record_ending,
    renew_lease,
)


@pytest.fixture
def path(tmp_path):
    """The lease of this process on a run."""
    return create_lease(tmp_path, "run-1", "http://127.0.0.1:4200/api")


def change(path, **fields):
    """Replace fields of a lease file."""
    write_json(path, asdict(replace(read_lease(path), **fields)))


def is_void(path):
    return is_lease_void(path, read_lease(path))


def test_lease_of_a_living_process_is_valid(path):
    assert read_lease(path).pid == os.getpid()
    assert not is_void(path)


def test_lease_of_another_process_with_the_same_number_is_void(path):
    change(path, process_started_at=read_lease(path).process_started_at - 60)
    assert is_void(path)


@pytest.mark.process
def test_lease_of_an_ended_process_is_void_before_and_after_its_status_is_read(path):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    change(path, pid=process.pid, process_started_at=time.time())
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_void(path)  # ended, but still in the table of processes
    process.wait()
    assert is_void(path)


def test_lease_of_another_machine_is_void_when_it_was_not_renewed(path, monkeypatch):
    monkeypatch.setattr(run_lease.socket, "gethostname", lambda: "elsewhere")
    assert not is_void(path)
    old = time.time() - LEASE_S - 1
    os.utime(path, (old, old))
    assert is_void(path)
    renew_lease(path)
    assert not is_void(path)


def test_list_leases_in_a_copied_project_deletes_those_of_the_original(path, tmp_path):
    assert [lease.flow_run_id for _, lease in list_leases(tmp_path)] == ["run-1"]
    change(path, project="/another/project")
    assert list_leases(tmp_path) == []
    assert not path.exists()


def test_record_ending_retains_the_rest(path):
    before = read_lease(path)
    record_ending(path, "COMPLETED", "")
    assert read_lease(path) == replace(before, ending="COMPLETED")


def test_read_lease_of_an_unreadable_file_is_none(tmp_path):
    (tmp_path / "lease.json").write_text('{"pid": ')
    assert read_lease(tmp_path / "lease.json") is None
