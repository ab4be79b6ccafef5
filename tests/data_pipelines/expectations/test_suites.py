"""Suites on statistics and packed rows: a null in a checked column fails a null check."""

import pandas as pd
import pytest

from data_pipelines.expectations.packed import packed_suite
from data_pipelines.expectations.runner import check
from data_pipelines.expectations.suites import (
    contamination_suite,
    mixtures_suite,
    quarantine_suite,
    tasks_suite,
)
from data_pipelines.params import ReadParams, ValidateParams

MIXTURE = {
    "examples": 500,
    "repeated_uids": 0,
    "share_off_target": 0.0,
    "repeated_share": 0.0,
    "english_share": 1.0,
}
PACKED_ROW = {
    "lowest_token": 0,
    "highest_token": 9,
    "encoder_segment_ids": 2,
    "decoder_segment_ids": 2,
    "encoder_ends": 2,
    "decoder_ends": 2,
    "in_order": True,
}
CASES = [
    (suite, row, column)
    for suite, row in (
        (mixtures_suite(ValidateParams()), MIXTURE),
        (tasks_suite(ValidateParams()), {"answer_share": 0.5}),
        (contamination_suite(ValidateParams()), {"contaminated_share": 0.0}),
        (quarantine_suite(ReadParams()), {"quarantined_share": 0.0}),
        (packed_suite("train", 10), PACKED_ROW),
    )
    for column in row
]


@pytest.mark.parametrize(
    ("suite", "row", "column"), CASES, ids=[f"{suite.name} {column}" for suite, _, column in CASES]
)
def test_suite_rejects_a_null_and_accepts_valid_values(suite, row, column):
    assert all(finding.success for finding in check(pd.DataFrame([row, row, row]), suite))
    findings = check(pd.DataFrame([row, {**row, column: None}, row]), suite)
    failed = [finding for finding in findings if not finding.success and finding.blocking]
    assert ("expect_column_values_to_not_be_null", column, 1) in {
        (finding.expectation, finding.column, finding.unexpected) for finding in failed
    }
