"""Reports from the JSON of results: complete, self-contained, and nothing filled in."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from flows.study.report.blocks import Chart, ChartValue
from flows.study.report.charts import draw
from flows.study.report.markdown import render_markdown
from flows.study.report.sections import make_blocks
from flows.study.report.write import write_report
from tests.flows.study.factories import report_results


class PageChecker(HTMLParser):
    """Collects the elements, and everything that a browser would load."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_report_files_have_verdicts_missing_runs_compute_and_published_figures(tmp_path):
    html, markdown, values = write_report(report_results(), tmp_path / "out")
    assert [path.name for path in (html, markdown, values)] == [
        "small.html", "small.md", "small.json",
    ]  # fmt: skip
    text = markdown.read_text()
    for expected in (
        "# Do experts help?",
        "| The MoE gains <more>. (primary claim) | confirmed at this scale | +12.5 | +2.1 …",
        "| Other. | not judged | – | – |",
        "1 of 2 runs have no result. No value stands in their place",
        "- dense_tuned-2: not trained yet",
        "| dense | tiny_dense (d_ff 72) | dense | 218,624 | 95,744 | 46,473 | 0.978 × moe |",
        "| tuned | random weights | train | text | 1,500 | optim.lr 0.002 | moe, dense |",
        "| tuned | moe | 71.0 % | 60.0 … 80.0 % | 25.0 % | 3 seeds, 1 tasks |",
        "it holds if the contrast is above 0 points",
        "within ±3 points",
        "Missing: dense/tuned, seed 2.",
        "Note: rules: random answers are not excluded.",
        "Published, not measured here",
        "| +7.1 points | Shen et al., FLAN-MoE, arXiv 2305.14705 |",
    ):
        assert expected in text
    assert "dense_tuned-2" in html.read_text()


def test_report_page_loads_nothing_and_runs_no_script(tmp_path):
    html, _, _ = write_report(report_results(), tmp_path)
    text = html.read_text()
    checker = PageChecker()
    checker.feed(text)
    assert checker.addresses == []
    assert "script" not in checker.elements
    assert not re.search(r"url\(|@import", text)
    assert "&lt;more&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_report_of_a_complete_study_says_that_nothing_is_missing():
    variant = {**report_results()["variants"][0], "missing": []}
    texts = [
        getattr(block, "text", "") for block in make_blocks(report_results(variants=[variant]))
    ]
    assert "Nothing: every run of the study has finished with every seed." in texts


def test_report_of_variants_names_each(tmp_path):
    variant = report_results()["variants"][0]
    variants = [{**variant, "variant": name} for name in ("few", "many")]
    _, markdown, _ = write_report(report_results(variants=variants), tmp_path)
    assert "## Verdicts, few" in markdown.read_text()
    assert "### Claim: gain, many" in markdown.read_text()


def test_report_of_facts_has_bits_stored_and_the_share_of_two_bits_a_parameter():
    variant = report_results()["variants"][0]
    bits = {"value": 10_000.0, "low": 8000.0, "high": 12_000.0}
    score = {**variant["scores"][0], "group": "sample_knowledge", "bits_stored": bits}
    facts = {"num_facts": 5952, "num_values": 48, "bits": 33242.0}
    changed = {**variant, "facts": facts, "scores": [score]}
    text = render_markdown(make_blocks(report_results(variants=[changed])))
    assert "The text states 5,952 facts with 33.2 kbit, each one of 48 values." in text
    # 10 kbit in 218,624 parameters are 0.046 bits each, 2.3 % of 2.
    assert "| tuned | moe | 10.0 | 8.0 … 12.0 | 0.046 | 2.3 % |" in text


def chart_values(kind):
    """Return a chart with two series and categories."""
    values = [
        ChartValue(
            series=series,
            category=f"a long name of category {x}",
            value=v,
            low=v - 5,
            high=v + 5,
            x=x,
        )
        for series, offset in (("moe & co", 0), ("dense", -30))
        for x, v in ((100, 20 + offset), (10_000, 60 + offset))
    ]
    return Chart(kind=kind, title="a < b", unit="%", values=values, reference=0.0)


@pytest.mark.parametrize("kind", ["bars", "intervals", "points"])
def test_chart_is_valid_svg_with_every_value_inside(kind):
    root = ElementTree.fromstring(draw(chart_values(kind)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    marks = [e for e in root.iter() if e.attrib.get("class", "") in ("s0", "s1")]
    assert len(marks) == 4 + 2  # and the legend
    for element in root.iter():
        for name, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            if name in element.attrib:
                assert 0 <= float(element.attrib[name]) <= limit


def test_chart_places_values_in_proportion_to_their_axis():
    root = ElementTree.fromstring(draw(chart_values("points")))
    circles = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter("circle")]
    (x1, y1), (x2, y2), (_, y3), (_, y4) = circles
    assert x1 < x2
    # 20, 60, -10 and 30 percent; larger values are higher.
    assert (y1 - y2) == pytest.approx(40 / 30 * (y3 - y1), abs=0.3)
    assert (y1 - y4) == pytest.approx(10 / 30 * (y3 - y1), abs=0.3)
