"""Conversion and rejection of rows of TREC."""

import pytest

from tests.data_pipelines.sources.raw.factories import contents_of, reason_of


def test_trec_labels_are_indices_of_the_hub_data_set(make_part):
    ((_, _, content),) = contents_of(make_part, "trec")
    assert (content.columns["coarse_label"], content.columns["fine_label"]) == (3, 29)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("NEW:label what ?", "unknown label 'NEW:label'"), ("HUM:ind", "no question")],
)
def test_trec_invalid_line_is_rejected(make_part, line, reason):
    assert reason_of(make_part, "trec", f"{line}\n") == reason
