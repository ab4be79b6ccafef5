"""Rows that the converters of raw data sets return."""

from data_pipelines.example import RejectedRow
from data_pipelines.sources.raw.table import read_rows
from tests.data_pipelines.sources.raw.published_rows import make_raw_part


def contents_of(make_part, dataset, content=None):
    """Return row number, index within the row, and content of all rows of a file."""
    return list(read_rows(make_raw_part(make_part, dataset, content)))


def reason_of(make_part, dataset, content):
    """Return why the only row of a file is rejected."""
    ((_, _, rejected),) = contents_of(make_part, dataset, content)
    assert isinstance(rejected, RejectedRow)
    return rejected.reason
