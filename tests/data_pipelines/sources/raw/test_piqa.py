"""Conversion and rejection of rows of PIQA."""

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.raw.table import read_rows
from tests.data_pipelines.sources.raw.published_rows import make_raw_part


def test_piqa_with_another_number_of_labels_fails(make_part):
    part = make_raw_part(make_part, "piqa")
    make_part("valid-labels.lst", "1\n0\n")
    with pytest.raises(SourceError, match=r"has 1 rows, but .*valid-labels\.lst has 2 labels"):
        list(read_rows(part))
