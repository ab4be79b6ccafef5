"""Conversion and rejection of rows of SST-2 and Rotten Tomatoes."""

import pytest

from tests.data_pipelines.sources.raw.factories import contents_of, reason_of


@pytest.mark.parametrize("line", ["5 text", "1", "1  "])
def test_sst2_line_without_label_or_sentence_is_rejected(make_part, line):
    assert reason_of(make_part, "sst2", f"{line}\n") == "not 0 or 1 followed by a sentence"


def test_rotten_tomatoes_label_is_the_suffix_of_the_file(make_part):
    ((_, _, content),) = contents_of(make_part, "rotten_tomatoes")
    assert content.columns["label"] == 1
