"""The documentation builds without a warning and loads nothing from another host."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.docs.markdown import ROOT

pytestmark = pytest.mark.process

LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
"""Element -> attribute with the address of what a browser loads for it."""


class LoadedAddresses(HTMLParser):
    """Collects the addresses that a browser loads to show a page."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in LOADED and values.get(LOADED[tag]):
            self.addresses.append(values[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    return folder


def test_site_pages_load_no_external_address(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = LoadedAddresses()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses
        external = [a for a in parser.addresses if re.match(r"(\w+:)?//", a)]
        assert not external, page.name


def test_site_styles_load_no_external_address(site):
    styles = sorted(site.rglob("*.css"))
    assert styles
    for style in styles:
        text = style.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", text)
        assert not addresses, style.name


def test_site_uses_no_diagram_that_the_theme_loads_from_a_cdn(site):
    for page in site.rglob("*.html"):
        assert 'class="mermaid"' not in page.read_text(encoding="utf-8")
