"""`flanmoe report VERSION`: one file with the numbers of the registry."""

import re
from html import escape

import pytest

from tests.dashboard.conftest import ShownProject, add_two_versions
from tests.factories import error_line, invoke
from tests.registry.factories import write_policy


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    write_policy(tmp_path, data={"allow_unrecorded": True})
    return add_two_versions(ShownProject(tmp_path))


def test_report_has_the_numbers_of_the_registry_and_loads_nothing(project):
    project.register("dense_tuned", [0.5, 0.6])
    project.register("<img src=x>", [0.5, 0.7], folder="hostile")
    assert "wrote m-v2.html" in project.command("report", "2")
    page = (project.folder / "m-v2.html").read_text()
    assert len(page) < 2_000_000
    summary = project.open().summary("m")
    assert escape(summary.pairs[0].sentence, quote=False) in page
    for point in summary.frontier.points:
        shown = f"{100 * point.accuracy:.1f} ± {100 * point.standard_error:.1f} %"
        assert shown in page
    for gate in project.open().verdicts("m", 2)[-1].gates:
        assert gate.name in page
    assert "<img" not in page
    assert not re.search(r"<[^>]*\s(src|href)=|url\(|<script", page)


def test_report_of_an_unknown_version_is_an_error_line(project):
    project.command("registry", "list")
    result = invoke("report", "9", cwd=project.folder)
    assert "has no version 9" in error_line(result)
    assert not list(project.folder.glob("*.html"))
