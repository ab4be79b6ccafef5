"""`flanmoe dashboard` on a small registry: every page in Chromium, and the listening address."""

import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.navigation import PAGES
from registry.store import Registry
from tests.browser import TIMEOUT_MS, browser_test, serve_dashboard
from tests.dashboard.conftest import ShownProject, add_two_versions
from tests.dashboard.data_reports import write_data
from tests.factories import ROOT
from tests.registry.factories import write_policy

NAME = "**b** <img src=x onerror=alert(1)>"

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Run the dashboard of a project with three models and return its port."""
    folder = tmp_path_factory.mktemp("shown")
    write_policy(folder, data={"allow_unrecorded": True})
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    project = ShownProject(folder)
    add_two_versions(project)
    project.register("dense_tuned", [0.5, 0.6])
    project.register(NAME, [0.5, 0.7], folder="hostile", run={"flops_per_token": 3e6})
    write_data(folder)
    assert len(Registry.open(folder).versions()) == 4
    with serve_dashboard(folder) as number:
        yield number


@pytest.fixture
def open_tab(chromium, port):
    """Return a function that opens a path; requests and console errors are in lists."""
    contexts, urls, errors = [], [], []

    def open_path(path, *, width=1280, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 1000}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: urls.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: _note_error(line, errors))
        page.goto(f"http://127.0.0.1:{port}/{path}")
        return page

    open_path.urls, open_path.errors = urls, errors
    yield open_path
    for context in contexts:
        context.close()


def _note_error(line, errors):
    """Note a console error; at a page's path Streamlit looks for its API below the path first."""
    is_probe = "404" in line.text and "/_stcore/" in line.location["url"]
    if line.type == "error" and not is_probe:
        errors.append(line.text)


def wait_until_shown(page, path):
    """Wait for the end of the page."""
    last = {"training": "No run has been trained yet", "help": "World size"}
    page.get_by_text(last.get(path, "As of 2")).first.wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")


@browser_test
@pytest.mark.browser
@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_page_in_both_themes_and_on_a_phone(open_tab, port, tmp_path, path):
    local = (f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", "data:", "blob:")
    address = "" if path == "decision" else path
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 400)):
        page = open_tab(address, width=width, scheme=scheme)
        wait_until_shown(page, path)
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for chart in page.locator("[data-testid=stVegaLiteChart]").all():
            chart.locator("[aria-label]").first.wait_for(state="attached")
            assert chart.bounding_box()["width"] > 0.6 * min(width, 500)
        picture = tmp_path / f"{path}-{scheme}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 10_000
        page.close()
    assert [url for url in open_tab.urls if not url.startswith(local)] == []
    assert open_tab.errors == []


@browser_test
@pytest.mark.browser
def test_frontier_page_state_is_in_the_url_and_the_back_button_returns(open_tab):
    page = open_tab("frontier?cost=memory&baseline=1")
    wait_until_shown(page, "frontier")
    axis = "million parameters in memory"
    page.locator(f"[data-testid=stVegaLiteChart] [aria-label*='{axis}']").first.wait_for()
    page.get_by_role("combobox", name="Cost").click()
    page.get_by_role("option", name="GFLOPs per answered item").click()
    page.locator("[aria-label*='GFLOPs per answered item of']").first.wait_for()
    query = parse_qs(urlsplit(page.url).query)
    assert (query["cost"], query["baseline"]) == (["item"], ["1"])
    page.go_back()
    page.locator(f"[aria-label*='{axis}']").first.wait_for()
    assert parse_qs(urlsplit(page.url).query)["cost"] == ["memory"]


@browser_test
@pytest.mark.browser
def test_versions_page_filter_is_in_the_url(open_tab):
    page = open_tab("versions")
    wait_until_shown(page, "versions")
    page.get_by_text("4 versions match").wait_for()
    page.get_by_role("textbox", name="Condition").fill("moe")
    page.get_by_role("textbox", name="Condition").press("Enter")
    page.get_by_text("1 versions match").wait_for()
    assert parse_qs(urlsplit(page.url).query)["where"] == ["moe"]


@browser_test
@pytest.mark.browser
def test_versions_page_saves_the_matches_of_its_url_as_csv(open_tab, tmp_path):
    page = open_tab("versions?where=moe")
    wait_until_shown(page, "versions")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save all matches as CSV").click()
    download.value.save_as(tmp_path / "versions.csv")
    header, row = (tmp_path / "versions.csv").read_text("utf-8-sig").splitlines()
    assert header.startswith("version,run,seed")
    assert row.startswith("2,moe,0,★ champion,MoE")


@browser_test
@pytest.mark.browser
def test_chart_button_saves_png(open_tab, tmp_path):
    page = open_tab("frontier")
    wait_until_shown(page, "frontier")
    page.locator("[data-testid=stVegaLiteChart]").hover()
    with page.expect_download() as download:
        # By keyboard: a chart that is still drawn moves the button away from the pointer.
        page.get_by_role("button", name="Download as PNG").press("Enter")
    download.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_dashboard_listens_on_the_loopback_interface_only(port):
    lines = Path("/proc/net/tcp").read_text().splitlines()
    (line,) = [line for line in lines if f":{port:04X} 00000000:0000" in line]
    assert line.split()[1].startswith("0100007F")  # 127.0.0.1
