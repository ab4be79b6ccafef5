"""`flanmoe dashboard` on a finished project: rendered pages and the listening address."""

import shutil
from pathlib import Path

import pytest

from flows.runtime.ports import free_port
from tests.factories import is_http_up, wait_for

CHART = "[data-testid=stVegaLiteChart] :is(canvas, svg.marks)"
CHROMIUM = shutil.which("chromium")
CHROMIUM_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

pytestmark = [pytest.mark.e2e, pytest.mark.process]


@pytest.fixture(scope="module")
def dashboard_port(finished):
    """Run the dashboard and return its port."""
    port = free_port()
    server = finished.project.start("dashboard", "--port", str(port))
    try:
        assert wait_for(lambda: is_http_up(f"http://127.0.0.1:{port}"), 60)
        yield port
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
def test_dashboard_renders_in_chromium_without_requests_to_other_hosts(dashboard_port, tmp_path):
    from playwright.sync_api import sync_playwright

    address = f"127.0.0.1:{dashboard_port}"
    local = (f"http://{address}", f"ws://{address}", "data:", "blob:")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        urls = []
        page.on("request", lambda request: urls.append(request.url))
        page.goto(local[0])
        page.wait_for_selector(CHART, timeout=60_000)
        page.wait_for_selector("[data-testid=stDataFrame]", timeout=60_000)
        text = page.inner_text("body")
        box = page.locator(CHART).first.bounding_box()
        page.screenshot(path=tmp_path / "page.png")
        browser.close()
    assert "FLAN-MoE against dense" in text
    assert "moe_" in text
    assert box["width"] > 600
    assert box["height"] > 300
    assert [url for url in urls if not url.startswith(local)] == []
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_dashboard_listens_on_the_loopback_interface_only(dashboard_port):
    lines = Path("/proc/net/tcp").read_text().splitlines()
    (line,) = [line for line in lines if f":{dashboard_port:04X} 00000000:0000" in line]
    assert line.split()[1].startswith("0100007F")  # 127.0.0.1
