"""The commit of the code, and whether files differ from it."""

import subprocess

import pytest

from models.code_commit import git_commit


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.process
def test_git_commit_marks_changes_of_any_package_and_ignores_other_files(tmp_path):
    assert git_commit(tmp_path) == "unknown"
    git(tmp_path, "init", "--quiet")
    (tmp_path / "models" / "architecture").mkdir(parents=True)
    code, others = tmp_path / "models" / "architecture" / "t5.py", ("dvc.lock", "README.md")
    for path in (code, *(tmp_path / name for name in others)):
        path.write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Add code")
    commit = git(tmp_path, "rev-parse", "HEAD")
    for name in (*others, "policy.yaml"):
        (tmp_path / name).write_text("2")
    assert git_commit(tmp_path) == commit
    code.write_text("2")
    assert git_commit(tmp_path) == f"{commit}+changes"
    code.write_text("1")
    assert git_commit(tmp_path) == commit
    (code.parent / "new_layer.py").write_text("1")
    assert git_commit(tmp_path) == f"{commit}+changes"
