"""Great Expectations suites for the records and the mixture.

A failed `critical` expectation stops the pipeline; a failed `warning` expectation is only reported.
Row-level suites run on batches of rows; the other suites run on small tables of statistics.
"""

from __future__ import annotations

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

from data_pipelines.example import TEXT
from data_pipelines.params import MIXTURES, ReadParams, ValidateParams

# U+FFFD indicates a wrong encoding; control characters other than tab and line breaks indicate
# binary data.
BROKEN_TEXT = r"[\x00-\x08\x0e-\x1f\x{FFFD}]"
WARNING = FailureSeverity.WARNING


def records_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Return the suite on every record: schema, nulls, lengths, encoding."""
    limits = {"min_value": 1, "max_value": read.max_field_characters}
    return gx.ExpectationSuite(
        name="records",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="uid"),
            gxe.ExpectColumnValuesToNotBeNull(column="task"),
            gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[*MIXTURES, TEXT]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"]),
            _between("inputs_characters", **limits),
            _between("question_characters", **limits),
            _valid_encoding(),
        ],
    )


def mixture_suite(name: str, params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on each row of one mixture.

    It checks schema, nulls, lengths, encoding, and that targets are among the options.
    """
    limits = {"min_value": 1, "max_value": params.max_input_characters}
    return gx.ExpectationSuite(
        name=name,
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="uid"),
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[name]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation"]),
            gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
            _between("inputs_characters", **limits),
            _between("targets_characters", **limits),
            gxe.ExpectColumnValuesToBeInSet(column="target_is_an_option", value_set=[True]),
            _valid_encoding(),
        ],
    )


def _between(column: str, min_value: int, max_value: int) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=min_value, max_value=max_value
    )


def _valid_encoding() -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(column="inputs_broken", value_set=[False], mostly=0.999)


def make_row_frame(rows: pa.Table) -> pd.DataFrame:
    """Return the columns that the row-level suites check.

    Texts are replaced by their length in characters and by whether their encoding is broken,
    because Great Expectations would fingerprint and copy the texts.
    """
    columns = {
        name: rows[name]
        for name in ("uid", "mixture", "task", "split", "source_file")
        if name in rows.column_names
    }
    for name in ("inputs", "question", "targets"):
        if name in rows.column_names:
            columns[f"{name}_characters"] = pc.utf8_length(rows[name])
    if "inputs" in rows.column_names:
        columns["inputs_broken"] = pc.match_substring_regex(rows["inputs"], BROKEN_TEXT)
    if "options" in rows.column_names:
        columns["target_is_an_option"] = pa.array(_target_is_an_option(rows))
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame


def _target_is_an_option(rows: pa.Table) -> list[bool]:
    """Return whether the target of each row is among its options; True without options."""
    options, targets = rows["options"].combine_chunks(), rows["targets"]
    indices = np.flatnonzero(options.is_valid().to_numpy(zero_copy_only=False))
    valid = [True] * len(rows)
    row_options, row_targets = options.take(indices).to_pylist(), targets.take(indices).to_pylist()
    for row, choices, target in zip(indices.tolist(), row_options, row_targets, strict=True):
        valid[row] = target in choices
    return valid


def mixtures_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on the statistics of each mixture, one row per mixture."""
    return gx.ExpectationSuite(
        name="mixtures",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(column="examples", min_value=params.min_examples),
            gxe.ExpectColumnValuesToBeBetween(column="repeated_uids", max_value=0),
            gxe.ExpectColumnValuesToBeBetween(
                column="share_off_target", max_value=params.share_tolerance, severity=WARNING
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="repeated_share", max_value=params.max_duplicate_share, severity=WARNING
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="english_share", min_value=params.min_english_share, severity=WARNING
            ),
        ],
    )


def tasks_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on label balance, one row per multiple-choice task."""
    return gx.ExpectationSuite(
        name="label balance",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="answer_share", max_value=params.max_answer_share, severity=WARNING
            )
        ],
    )


def contamination_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on contamination, one row per evaluation suite."""
    return gx.ExpectationSuite(
        name="contamination",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="contaminated_share",
                max_value=params.max_contaminated_share,
                severity=WARNING,
            )
        ],
    )


def quarantine_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Return the suite on rejected rows, one row per source."""
    return gx.ExpectationSuite(
        name="quarantine",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="quarantined_share", max_value=read.max_quarantine_share
            )
        ],
    )
