"""The dashboard: its frames, its page in Streamlit's harness, and rendered in Chromium."""

import json
import shutil
from pathlib import Path

import pytest

import dashboard
from dashboard.charts import accuracy_against_compute
from dashboard.queries import open_registry, training_logs, versions_frame
from registry.intake import read_submission
from tests.conftest import answers, free_port, wait_for

CHART = "[data-testid=stVegaLiteChart] :is(canvas, svg.marks)"
APP = Path(dashboard.__file__).parent / "app.py"
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def home(finished, monkeypatch):
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(finished.project.folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    return finished.project.folder


def test_frame_holds_what_the_registry_holds(home):
    versions = open_registry().versions()
    frame = versions_frame(versions)
    assert list(frame["run"]) == ["moe_base", "moe_instruct"]
    for row, version in zip(frame.to_dict("records"), versions, strict=True):
        assert row["accuracy"] == pytest.approx(100 * version["accuracy"])
        assert row["gflops_per_token"] == pytest.approx(version["flops_per_token"] / 1e9)
        assert row["champion"] == (version["stage"] == "champion")
        assert (row["kind"], row["tuning"]) == (
            "MoE",
            "instruction-tuned" if version["tuned"] else "not tuned",
        )


def test_chart_spec_marks_the_champion_and_spans_at_least_a_factor_of_2(home):
    frame = versions_frame(open_registry().versions())
    spec = json.dumps(accuracy_against_compute(frame).to_dict())
    assert "datum.champion" in spec
    assert "gflops_per_token" in spec
    (low, high) = json.loads(spec)["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert high / low >= 2


def test_training_is_followed_while_it_goes_on(home, tmp_path, monkeypatch):
    """A run that has ended, and one of a workspace whose last line is being written."""
    from streamlit.testing.v1 import AppTest

    ended = training_logs()
    assert set(ended["run"]) == {"moe_base", "moe_instruct"}
    assert not ended["running"].any()
    now = tmp_path / ".flanmoe" / "workspaces" / "try" / ".flanmoe" / "checkpoints" / "big"
    now.mkdir(parents=True)
    line = {"step": 20, "steps": 80, "loss": 2.5, "tokens_per_second": 900.0, "mfu": 0.41,
            "largest_load": 1.5, "validation_loss": None, "lr": 1e-3, "grad_norm": 1.0,
            "time": 1.8e9, "warnings": ["encoder: 2 of 8 experts get no token"]}  # fmt: skip
    (now / "log.jsonl").write_text(json.dumps(line) + "\n" + '{"step": 40, "lo')
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(tmp_path))
    assert list(training_logs()["step"]) == [20]
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Loss"] == "2.500"
    assert metrics["MFU"] == "41%"
    assert page.multiselect(key="runs").value == ["try/big"]
    assert "2 of 8 experts get no token" in page.warning[0].value
    (now / "log.jsonl").write_text(json.dumps({**line, "step": 40, "loss": 1.5}) + "\n")
    page.run()
    assert {m.label: m.value for m in page.metric}["Loss"] == "1.500"


def test_page_shows_champion_and_table(home):
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    champion = next(v for v in open_registry().versions() if v["stage"] == "champion")
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Champion"] == f"{champion['name']} · v{champion['version']}"
    table = page.dataframe[0].value
    assert list(table["version"]) == [1, 2]


def test_warnings_about_the_data_are_shown_with_the_versions_they_concern(
    finished_copy, monkeypatch
):
    from streamlit.testing.v1 import AppTest

    folder = finished_copy.folder
    path = folder / "data/validation/results.json"
    findings = json.loads(path.read_text())
    findings[0] |= {"success": False, "blocking": False, "observed": "7 of 9 rows"}
    path.unlink()  # the copy shares its bytes with the cache
    path.write_text(json.dumps(findings))
    assert finished_copy.call("evaluate", "moe_instruct").returncode == 0
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    submission = read_submission(folder / "runs/moe_instruct", folder / "data/tokenizer")
    open_registry().register("warned", submission)
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    (expander,) = page.expander
    assert expander.label == "Data warnings: 1"
    text = expander.markdown[0].value
    assert findings[0]["suite"] in text
    assert "7 of 9 rows" in text
    assert "moe_instruct v1" in text


def test_page_of_an_empty_registry(tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(tmp_path))
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert "flanmoe run" in page.info[0].value


def test_page_of_a_registry_that_is_gone(monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://x@127.0.0.1:9/none")
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert "cannot be used" in page.error[0].value


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
def test_rendered_in_chromium_without_any_outside_request(finished, tmp_path):
    from playwright.sync_api import sync_playwright

    port = free_port()
    server = finished.project.start("dashboard", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_for(lambda: answers(url), 60)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
                      "--disable-background-networking", "--disable-component-update"],
            )  # fmt: skip
            page = browser.new_page(viewport={"width": 1300, "height": 1400})
            outside = []
            page.on(
                "request",
                lambda r: (
                    None
                    if r.url.startswith((url, f"ws://127.0.0.1:{port}", "data:", "blob:"))
                    else outside.append(r.url)
                ),
            )
            page.goto(url)
            page.wait_for_selector(CHART, timeout=60_000)
            page.wait_for_selector("[data-testid=stDataFrame]", timeout=60_000)
            text = page.inner_text("body")
            box = page.locator(CHART).first.bounding_box()
            page.screenshot(path=tmp_path / "page.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    assert "FLAN-MoE against dense" in text
    assert "moe_" in text
    assert box["width"] > 600
    assert box["height"] > 300
    assert outside == []
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_only_this_machine_can_reach_it(finished):
    port = free_port()
    server = finished.project.start("dashboard", "--port", str(port))
    try:

        def listening():
            lines = Path("/proc/net/tcp").read_text().splitlines()
            return [line for line in lines if f":{port:04X} 00000000:0000" in line]

        assert wait_for(listening, 60)
        (line,) = listening()
        assert line.split()[1].startswith("0100007F")  # 127.0.0.1
    finally:
        server.terminate()
        server.wait(20)
