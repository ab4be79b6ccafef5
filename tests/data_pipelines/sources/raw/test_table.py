"""Table of raw data sets: every data set is read from its published format."""

import pytest

from data_pipelines.example import RejectedRow
from data_pipelines.sources.raw.table import DATASETS, read_rows
from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.published_rows import PUBLISHED_ROWS, make_raw_part


def test_every_data_set_has_a_published_row():
    assert set(PUBLISHED_ROWS) == set(DATASETS)


@pytest.mark.parametrize("dataset", PUBLISHED_ROWS)
def test_read_rows_of_the_published_row_returns_its_content(make_part, dataset):
    published = PUBLISHED_ROWS[dataset]
    contents = [content for _, _, content in read_rows(make_raw_part(make_part, dataset))]
    assert not any(isinstance(content, RejectedRow) for content in contents)
    assert (contents[0].question, contents[0].answer) == (published.question, published.answer)
    assert contents[0].options is None or contents[0].answer in contents[0].options


def test_read_rows_without_a_question_is_rejected(make_part):
    part = make_raw_part(make_part, "multirc", json_lines({"passage": {"text": "t"}}))
    ((row, item, content),) = read_rows(part)
    assert (row, item, content.reason) == (1, 0, "no question")


def test_read_rows_with_an_unexpected_nested_type_is_rejected(make_part):
    record = {"passage": {"text": "t", "questions": [3]}}
    ((_, _, content),) = read_rows(make_raw_part(make_part, "multirc", json_lines(record)))
    assert content.reason.startswith("unexpected structure: ")


def test_read_rows_invalid_json_is_rejected(make_part):
    ((_, _, content),) = read_rows(make_raw_part(make_part, "rte", "{truncated\n"))
    assert content.reason.startswith("not JSON")
