"""Conversion and rejection of rows of AG News."""

import pytest

from tests.data_pipelines.sources.raw.factories import reason_of


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('"7","t","d"\n', "label 6 is not an index of 4 options"),
        ('"x","t","d"\n', "class is 'x', not an integer"),
        ('"1","t"\n', "2 columns instead of 3"),
        ('"1","t",""\n', "no title or no description"),
    ],
)
def test_ag_news_invalid_row_is_rejected(make_part, content, reason):
    assert reason_of(make_part, "ag_news", content) == reason
