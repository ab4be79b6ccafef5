"""A report in a browser: it fits narrow and wide windows, and loads nothing."""

import pytest

from flows.study.report.write import write_report
from tests.browser import CHROMIUM, CHROMIUM_OPTIONS, browser_test
from tests.flows.study.factories import report_results

pytestmark = [pytest.mark.browser, pytest.mark.process]


@browser_test
def test_report_page_fits_the_window_in_light_and_dark_and_loads_nothing(tmp_path):
    from playwright.sync_api import sync_playwright

    html, _, _ = write_report(report_results(), tmp_path)
    requests, backgrounds = [], set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        for width in (400, 1280):
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                page.on("request", lambda request: requests.append(request.url))
                page.goto(html.as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") == width
                assert page.locator("svg").first.bounding_box()["height"] > 50
                backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        browser.close()
    assert set(requests) == {html.as_uri()}
    assert len(backgrounds) == 2
