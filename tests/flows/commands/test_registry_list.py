"""`flanmoe registry list` and `history` on a registry of release 0.1.0, with texts of people."""

import json
import shutil

import pytest

from tests.factories import ROOT, error_line, invoke
from tests.registry.release_0_1_0 import copy_release_0_1_0

NOTE = "[/bold] <b>'; DROP TABLE versions; -- 模型 \x1b[31mred\u202e"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project with versions 1 (dense) and 2 (moe, champion)."""
    folder = tmp_path_factory.mktemp("list") / "project"
    copy_release_0_1_0(folder)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    for words in (("tag", 1, f"purpose={NOTE}"), ("reject", 1, "--reason", NOTE),
                  ("note", 1, NOTE), ("describe", "--version", 1, NOTE)):  # fmt: skip
        done = invoke("registry", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def listed(project, *words):
    done = invoke("registry", "list", "--json", *words, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    return [version["name"] for version in json.loads(done.stdout)]


def test_list_where_and_search_select_versions(project):
    assert listed(project) == ["moe", "dense"]
    assert listed(project, "--where", "moe and alias = 'champion'") == ["moe"]
    assert listed(project, "--search", "drop TABLE") == ["dense"]
    assert listed(project, "--where", "state = 'rejected'", "--search", "模型") == ["dense"]
    assert listed(project, "--sort", "name") == ["dense", "moe"]
    assert listed(project, "--where", "tuned and not tuned") == []


def test_list_shows_the_interval_of_a_score_that_the_condition_names(project):
    done = invoke("registry", "list", "--where", "suite.sample >= 0", cwd=project)
    assert "suite.sample [95 %]" in done.stdout
    version = json.loads(
        invoke("registry", "list", "--json", "--where", "suite.sample >= 0", cwd=project).stdout
    )[0]
    score = version["scores"]["suite.sample"]
    assert score["low"] <= score["value"] <= score["high"]
    assert f"{score['value']:.1f} ({score['low']:.1f} … {score['high']:.1f})" in done.stdout


def test_list_limit_says_how_many_more(project):
    done = invoke("registry", "list", "--limit", 1, "--json", cwd=project)
    assert [version["name"] for version in json.loads(done.stdout)] == ["moe"]
    assert done.stderr == "1 more: --limit N lists more at once, --offset 1 the next ones\n"
    assert listed(project, "--limit", 1, "--offset", 1) == ["dense"]


def test_list_invalid_condition_names_the_place(project):
    line = error_line(invoke("registry", "list", "--where", "gflop_per_token < 2", cwd=project))
    assert line == (
        "error: condition, column 1: unknown field 'gflop_per_token'; did you mean "
        "'gflops_per_token'?"
    )
    assert (
        "no version matches"
        in invoke("registry", "list", "--where", "version > 9", cwd=project).stdout
    )


def test_history_limit_lists_the_last_changes_with_texts_as_they_are(project):
    done = invoke("registry", "history", "--limit", 3, cwd=project)
    assert done.stderr == "the last 3 changes: --limit N lists more\n"
    assert [line.split()[5] for line in done.stdout.splitlines()[1:]] == [
        "rejected", "noted", "described",
    ]  # fmt: skip
    assert "[/bold] <b>'; DROP TABLE versions; -- 模型 \\x1b[31mred\\u202e" in done.stdout
    shown = invoke("registry", "show", 1, cwd=project).stdout
    for text in ("description: [/bold] <b>'; DROP", "tag purpose: [/bold]", "模型 \\x1b[31mred"):
        assert text in shown
    assert "\x1b[31m" not in shown + done.stdout
