"""Muffin: raw data sets rendered with the project's own templates."""

import pytest

from data_pipelines.params import ReadParams
from tests.data_pipelines.sources.factories import json_lines, load_rows
from tests.data_pipelines.sources.raw.published_rows import make_raw_part


def test_muffin_braces_in_a_row_are_text(make_part):
    record = {"question": "is {answer} it", "passage": "{question}", "label": True}
    part = make_raw_part(make_part, "boolq", json_lines(record), templates="yes_no_reading")
    (row,) = load_rows(part, ReadParams(inversion_share=0))
    assert "is {answer} it" in row.inputs


def test_muffin_forms_have_the_configured_shares(make_part):
    content = "".join(f"{i % 2} sentence number {i} .\n" for i in range(2000))
    rows = load_rows(make_raw_part(make_part, "sst2", content, templates="sentiment"))
    inverted = [row for row in rows if row.template.startswith("inverted")]
    with_options = [row for row in rows if row.options is not None]
    assert len(inverted) == pytest.approx(600, abs=80)
    assert len(with_options) == pytest.approx(700, abs=80)
    assert len({row.template for row in rows}) == 23  # 10 with and without options, 3 inverted
    assert all(row.targets in row.options for row in with_options)
    assert all("negative" in row.inputs and "positive" in row.inputs for row in with_options)
    assert all(row.answer in row.inputs for row in inverted)
    assert {row.answer for row in rows} == {"negative", "positive"}


def test_muffin_invalid_rows_are_rejected(make_part):
    rows = load_rows(make_raw_part(make_part, "sst2", "5 text\n", templates="sentiment"))
    assert [row.reason for row in rows] == ["not 0 or 1 followed by a sentence"]
