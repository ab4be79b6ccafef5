"""Conversion and rejection of rows of MRPC."""

import pytest

from tests.data_pipelines.sources.raw.factories import reason_of


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\t2\t3", "3 columns instead of 5"),
        ("2\t1\t2\ta\tb", "no quality 0 or 1, or an empty sentence"),
        ("1\t1\t2\ta\t", "no quality 0 or 1, or an empty sentence"),
    ],
)
def test_mrpc_invalid_row_is_rejected(make_part, row, reason):
    assert reason_of(make_part, "mrpc", f"header\n{row}\n") == reason
