"""What raw examples and the mixture must satisfy, as Great Expectations suites.

`critical` expectations stop the pipeline, `warning` ones are shown and go on. Suites about each row
run over one batch of rows after another; suites about the whole run over small tables of figures.
"""

from __future__ import annotations

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

from data_pipelines.example import TEXT
from data_pipelines.params import MIXTURES, ReadParams, ValidateParams

# U+FFFD is what a wrong decoding leaves behind; other control characters than tab and line
# breaks are what a binary file does.
BROKEN_TEXT = r"[\x00-\x08\x0e-\x1f\ufffd]"
WARNING = FailureSeverity.WARNING


def raw_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Every example that was read: schema, nulls, lengths, encoding."""
    longest = read.max_field_characters
    return gx.ExpectationSuite(
        name="raw examples",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="uid"),
            gxe.ExpectColumnValuesToNotBeNull(column="task"),
            gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[*MIXTURES, TEXT]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"]),
            gxe.ExpectColumnValueLengthsToBeBetween(
                column="inputs", min_value=1, max_value=longest
            ),
            gxe.ExpectColumnValueLengthsToBeBetween(
                column="question", min_value=1, max_value=longest
            ),
            gxe.ExpectColumnValuesToNotMatchRegex(column="inputs", regex=BROKEN_TEXT, mostly=0.999),
        ],
    )


def mixture_suite(name: str, params: ValidateParams) -> gx.ExpectationSuite:
    """Each row of one mixture: schema, nulls, lengths, option membership, encoding."""
    limit = params.max_input_characters
    critical: list[Expectation] = [
        gxe.ExpectColumnValuesToNotBeNull(column="uid"),
        gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[name]),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation"]),
        gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="inputs", min_value=1, max_value=limit),
        gxe.ExpectColumnValueLengthsToBeBetween(column="targets", min_value=1, max_value=limit),
        gxe.ExpectColumnValuesToBeInSet(column="target_is_an_option", value_set=[True]),
        gxe.ExpectColumnValuesToNotMatchRegex(column="inputs", regex=BROKEN_TEXT, mostly=0.999),
    ]
    return gx.ExpectationSuite(name=name, expectations=critical)


def mixture_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the suite needs beside the contract's columns."""
    frame = rows.copy()
    frame["target_is_an_option"] = [
        options is None or target in list(options)
        for options, target in zip(rows["options"], rows["targets"], strict=True)
    ]
    return frame


def mixtures_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """The whole of each mixture, in a table of one row a mixture."""
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
    """Label balance, in a table of one row a task that shows options."""
    return gx.ExpectationSuite(
        name="label balance",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="answer_share", max_value=params.max_answer_share, severity=WARNING
            )
        ],
    )


def overlap_suite(params: ValidateParams) -> gx.ExpectationSuite:
    """Overlap with evaluation, in a table of one row a suite."""
    return gx.ExpectationSuite(
        name="overlap with evaluation",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="contaminated_share",
                max_value=params.max_contaminated_share,
                severity=WARNING,
            )
        ],
    )


def quarantine_suite(read: ReadParams) -> gx.ExpectationSuite:
    """No source may lose more rows than it is allowed to: a table of one row a source."""
    return gx.ExpectationSuite(
        name="quarantine",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="quarantined_share", max_value=read.max_quarantine_share
            )
        ],
    )
