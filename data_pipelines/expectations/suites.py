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

from data_pipelines.example import EXAMPLE_SCHEMA, RECORD_SCHEMA, TEXT
from data_pipelines.expectations.runner import build_suite
from data_pipelines.params import MIXTURES, ReadParams, ValidateParams

# U+FFFD indicates a wrong encoding; control characters other than tab and line breaks indicate
# binary data.
BROKEN_TEXT = r"[\x00-\x08\x0e-\x1f\x{FFFD}]"
WARNING = FailureSeverity.WARNING
RECORD_COLUMNS = tuple(RECORD_SCHEMA.names)
EXAMPLE_COLUMNS = tuple(EXAMPLE_SCHEMA.names)
TEXT_COLUMNS = ("inputs", "targets", "context", "question", "answer")
LIST_COLUMNS = ("references", "options", "exemplars", "flags")
NULLABLE_COLUMNS = ("options",)
"""Columns that may be null: an example may have no options."""


def records_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Return the suite on every record: schema, nulls, lengths, encoding."""
    limits = {"min_value": 1, "max_value": read.max_field_characters}
    return build_suite(
        "records",
        [
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[*MIXTURES, TEXT]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"]),
            _between("inputs_characters", **limits),
            _between("question_characters", **limits),
            _valid_encoding(),
        ],
        required=_frame_columns(RECORD_COLUMNS),
    )


def mixture_suite(name: str, params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on each row of one mixture.

    It checks schema, nulls, lengths, encoding, and that targets are among the options.
    """
    limits = {"min_value": 1, "max_value": params.max_input_characters}
    return build_suite(
        name,
        [
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[name]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation"]),
            _between("inputs_characters", **limits),
            _between("targets_characters", **limits),
            gxe.ExpectColumnValuesToBeInSet(column="target_is_an_option", value_set=[True]),
            _valid_encoding(),
        ],
        required=_frame_columns(EXAMPLE_COLUMNS),
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
    because Great Expectations would fingerprint and copy the texts; lists by their length. The
    length of a null is null.
    """
    columns = {}
    for name in rows.column_names:
        if name in TEXT_COLUMNS:
            columns[f"{name}_characters"] = pc.utf8_length(rows[name])
        elif name in LIST_COLUMNS:
            columns[f"{name}_length"] = pc.list_value_length(rows[name])
        else:
            columns[name] = rows[name]
    if "inputs" in rows.column_names:
        columns["inputs_broken"] = pc.match_substring_regex(rows["inputs"], BROKEN_TEXT)
    if "options" in rows.column_names:
        columns["target_is_an_option"] = pa.array(_target_is_an_option(rows))
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame


def _frame_columns(names: tuple[str, ...]) -> list[str]:
    """Return the names that columns without nulls have in `make_row_frame`."""
    suffixes = dict.fromkeys(TEXT_COLUMNS, "_characters") | dict.fromkeys(LIST_COLUMNS, "_length")
    return [name + suffixes.get(name, "") for name in names if name not in NULLABLE_COLUMNS]


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
    return build_suite(
        "mixtures",
        [
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
    return build_suite(
        "label balance",
        [
            gxe.ExpectColumnValuesToBeBetween(
                column="answer_share", max_value=params.max_answer_share, severity=WARNING
            )
        ],
    )


def contamination_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """Return the suite on contamination, one row per evaluation suite."""
    return build_suite(
        "contamination",
        [
            gxe.ExpectColumnValuesToBeBetween(
                column="contaminated_share",
                max_value=params.max_contaminated_share,
                severity=WARNING,
            )
        ],
    )


def quarantine_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Return the suite on rejected rows, one row per source."""
    return build_suite(
        "quarantine",
        [
            gxe.ExpectColumnValuesToBeBetween(
                column="quarantined_share", max_value=read.max_quarantine_share
            )
        ],
    )
