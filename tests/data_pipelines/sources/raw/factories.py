"""Read the rows and rejection reasons of a file of a raw data set."""

from data_pipelines.example import RejectedRow
from data_pipelines.sources.raw.table import read_rows
from tests.data_pipelines.sources.raw.published_rows import make_raw_part


def contents_of(make_part, dataset, content=None):
    """Return source row number, index within the source row, and content of every row of a file."""
    return list(read_rows(make_raw_part(make_part, dataset, content)))


def reason_of(make_part, dataset, content):
    """Return the rejection reason of the only row of a file."""
    ((_, _, rejected),) = contents_of(make_part, dataset, content)
    assert isinstance(rejected, RejectedRow)
    return rejected.reason
