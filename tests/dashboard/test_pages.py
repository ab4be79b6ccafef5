"""The pages in Streamlit's own test harness."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.queries import open_registry
from registry.intake import read_submission
from tests.dashboard.factories import write_log

APP = Path(dashboard.__file__).parent / "app.py"


def render():
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    return page


def metrics(page):
    return {metric.label: metric.value for metric in page.metric}


def test_comparison_page_shows_champion_and_table(project):
    page = render()
    assert metrics(page)["Champion"] == "moe · v2"
    assert metrics(page)["Accuracy"] == "70.0 ± 1.6 %"
    assert metrics(page)["Above chance, points"] == "+45.0"
    assert list(page.dataframe[0].value["version"]) == [1, 2]


def test_comparison_page_without_champion_warns(empty_project):
    empty_project.register("dense", [0.4])
    assert "has no champion" in render().warning[0].value


def test_frontier_page_shows_points_and_dense_partners(project):
    project.register("dense_tuned", [0.5, 0.6])
    page = render()
    points = page.dataframe[2].value
    assert list(points["name"]) == ["moe", "dense_tuned", "dense"]
    assert list(points["on_frontier"]) == [True, False, False]
    partners = page.dataframe[3].value
    assert list(zip(partners["moe"], partners["dense"], strict=True)) == [("moe", "dense_tuned")]
    assert list(points["is_champion"]) == [True, False, False]


def test_frontier_page_names_an_moe_without_partner(project):
    project.register("moe_long", [0.5, 0.6], run={"is_moe": True, "steps": 800})
    captions = [caption.value for caption in render().caption]
    assert "moe_long v3: no partner." in captions


def test_frontier_page_names_excluded_versions(project):
    page = render()
    page.selectbox[0].select("time").run()
    assert not page.exception
    captions = [caption.value for caption in page.caption]
    assert "moe v2 is excluded: milliseconds per answered item not measured." in captions


def test_training_page_follows_a_run_in_progress(empty_project):
    folder = empty_project.folder / ".flanmoe/workspaces/try/.flanmoe/checkpoints/big"
    warning = "encoder: 2 of 8 experts get no token"
    write_log(folder, [{"warnings": [warning]}], incomplete='{"step": 40, "lo')
    page = render()
    assert metrics(page)["Loss"] == "2.500"
    assert metrics(page)["MFU"] == "41%"
    assert metrics(page)["Max expert load"] == "1.50 ×"
    assert page.multiselect(key="runs").value == ["try/big"]
    assert warning in page.warning[0].value
    write_log(folder, [{"step": 40, "loss": 1.5}])
    page.run()
    assert metrics(page)["Loss"] == "1.500"


def test_page_of_an_empty_registry_explains_the_first_step(empty_project):
    assert "flanmoe run" in render().info[0].value


def test_page_of_an_unreachable_registry_shows_the_error(monkeypatch):
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://x@127.0.0.1:9/none")
    assert "cannot be opened" in render().error[0].value


@pytest.mark.e2e
def test_data_warnings_are_shown_with_the_versions_they_concern(finished_copy, monkeypatch):
    folder = finished_copy.folder
    path = folder / "data/validation/results.json"
    findings = json.loads(path.read_text())
    findings[0] |= {"success": False, "blocking": False, "observed": "7 of 9 rows"}
    path.unlink()  # the file may be a link into DVC's cache
    path.write_text(json.dumps(findings))
    assert finished_copy.invoke("evaluate", "moe_instruct").returncode == 0
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    submission = read_submission(folder / "runs/moe_instruct/seed_0", folder / "data/tokenizer")
    open_registry().register("warned", submission)
    (expander,) = render().expander
    assert expander.label == "Data warnings: 1"
    text = expander.markdown[0].value
    assert findings[0]["suite"] in text
    assert "7 of 9 rows" in text
    assert "moe_instruct v1" in text
