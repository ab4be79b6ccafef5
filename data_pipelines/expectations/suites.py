"""What every mixture must satisfy, as Great Expectations suites.

`critical` expectations stop the pipeline, `warning` ones are shown and go on.
"""

from __future__ import annotations

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

from data_pipelines.params import MixParams, ValidateParams

# U+FFFD is what a wrong decoding leaves behind; other control characters than tab and line
# breaks are what a binary file does.
BROKEN_TEXT = r"[\x00-\x08\x0e-\x1f\ufffd]"


def mixture_suite(name: str, params: ValidateParams) -> gx.ExpectationSuite:
    """Schema, nulls, lengths, option membership, encoding and repetition of one mixture."""
    limit = params.max_input_characters
    critical: list[Expectation] = [
        gxe.ExpectTableRowCountToBeBetween(min_value=params.min_examples),
        gxe.ExpectColumnValuesToNotBeNull(column="uid"),
        gxe.ExpectColumnValuesToBeUnique(column="uid"),
        gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[name]),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation"]),
        gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="inputs", min_value=1, max_value=limit),
        gxe.ExpectColumnValueLengthsToBeBetween(column="targets", min_value=1, max_value=limit),
        gxe.ExpectColumnValuesToBeInSet(column="target_is_an_option", value_set=[True]),
        gxe.ExpectColumnValuesToNotMatchRegex(column="inputs", regex=BROKEN_TEXT, mostly=0.999),
    ]
    repeated = gxe.ExpectColumnMeanToBeBetween(
        column="repeats_another",
        max_value=params.max_duplicate_share,
        severity=FailureSeverity.WARNING,
    )
    return gx.ExpectationSuite(name=name, expectations=[*critical, repeated])


def mixture_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the suite needs beside the contract's columns."""
    frame = rows.copy()
    frame["target_is_an_option"] = [
        options is None or target in list(options)
        for options, target in zip(rows["options"], rows["targets"], strict=True)
    ]
    frame["repeats_another"] = rows.duplicated(["inputs", "targets"]).astype(float)
    return frame


def shares_suite(targets: dict[str, float], params: ValidateParams) -> gx.ExpectationSuite:
    """Realised shares against the published ones, in a table with one column a mixture."""
    return gx.ExpectationSuite(
        name="shares",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column=mixture,
                min_value=target - params.share_tolerance,
                max_value=target + params.share_tolerance,
                severity=FailureSeverity.WARNING,
            )
            for mixture, target in targets.items()
        ],
    )


def quarantine_suite(mix: MixParams) -> gx.ExpectationSuite:
    """No source may lose more rows than it is allowed to."""
    return gx.ExpectationSuite(
        name="quarantine",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="quarantined_share", max_value=mix.max_quarantine_share
            )
        ],
    )
