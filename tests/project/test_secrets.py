"""Secrets of the environment are in no file that the pipeline writes, and in none of its output."""

import pytest

from tests.factories import PLANTED_SECRETS

pytestmark = [pytest.mark.process, pytest.mark.e2e]


def test_planted_secrets_are_in_no_file_of_the_project(finished):
    """Params, logs, artifacts, lineage, DVC's cache, and the databases of registry and Prefect."""
    markers = [value.split(":")[-1].encode() for value in PLANTED_SECRETS.values()]
    assert all(b"planted-" in marker for marker in markers)
    files = [path for path in finished.project.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert names >= {"params.yaml", "registry.db", "prefect.db", "run.json", "dvc.lock"}
    # tests/factories.py of the checkout names them.
    holders = [
        path
        for path in files
        if "tests" not in path.relative_to(finished.project.folder).parts
        and ".git" not in path.relative_to(finished.project.folder).parts
        and any(marker in path.read_bytes() for marker in markers)
    ]
    assert holders == []
    assert not any(marker.decode() in finished.output for marker in markers)
