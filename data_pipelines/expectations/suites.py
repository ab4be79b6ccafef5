"""What raw examples and the mixture must satisfy, as Great Expectations suites.

`critical` expectations stop the pipeline, `warning` ones are shown and go on. Suites about each row
run over one batch of rows after another; suites about the whole run over small tables of figures.
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

# U+FFFD is what a wrong decoding leaves behind; other control characters than tab and line
# breaks are what a binary file does.
BROKEN_TEXT = r"[\x00-\x08\x0e-\x1f\x{FFFD}]"
WARNING = FailureSeverity.WARNING


def raw_suite(read: ReadParams) -> gx.ExpectationSuite:
    """Every example that was read: schema, nulls, lengths, encoding."""
    limits = {"min_value": 1, "max_value": read.max_field_characters}
    return gx.ExpectationSuite(
        name="raw examples",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="uid"),
            gxe.ExpectColumnValuesToNotBeNull(column="task"),
            gxe.ExpectColumnValuesToNotBeNull(column="source_file"),
            gxe.ExpectColumnValuesToBeInSet(column="mixture", value_set=[*MIXTURES, TEXT]),
            gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"]),
            _between("inputs_characters", **limits),
            _between("question_characters", **limits),
            _whole_text(),
        ],
    )


def mixture_suite(name: str, params: ValidateParams) -> gx.ExpectationSuite:
    """Each row of one mixture: schema, nulls, lengths, option membership, encoding."""
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
            _whole_text(),
        ],
    )


def _between(column: str, min_value: int, max_value: int) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=min_value, max_value=max_value
    )


def _whole_text() -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(column="inputs_broken", value_set=[False], mostly=0.999)


def frame_of(rows: pa.Table) -> pd.DataFrame:
    """What the two suites about each row ask of its columns: texts by their length and encoding.

    The texts themselves stay outside: the library would fingerprint and copy them all.
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
    options, targets = rows["options"].combine_chunks(), rows["targets"]
    asked = np.flatnonzero(options.is_valid().to_numpy(zero_copy_only=False))
    right = [True] * len(rows)
    shown, given = options.take(asked).to_pylist(), targets.take(asked).to_pylist()
    for row, choices, target in zip(asked.tolist(), shown, given, strict=True):
        right[row] = target in choices
    return right


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
