"""Run Great Expectations suites over data frames and convert the results to Findings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

# Set before the import: Great Expectations sends usage statistics by default.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

COLUMN_KEYS = ("column", "column_A", "column_B")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one expectation."""

    suite: str
    expectation: str
    column: str
    success: bool
    blocking: bool
    """Whether a failure stops the pipeline; otherwise it is a warning."""
    observed: str
    """The observed value, or the number of unexpected values and the first few of them."""
    limits: str
    elements: int = 0
    """Number of values, for an expectation on each value; else 0."""
    unexpected: int = 0
    """Number of values that do not meet the expectation."""
    mostly: float = 1.0
    """Smallest share of values that must meet the expectation."""

    @property
    def message(self) -> str:
        """One line for an error message or a log."""
        return (
            f"{self.suite}: {self.expectation} {self.column} ({self.limits}), "
            f"observed {self.observed}"
        )


def build_suite(
    name: str, expectations: Sequence[Expectation], required: Sequence[str] = ()
) -> gx.ExpectationSuite:
    """Return a suite in which no checked column may be null.

    Expectations on values skip nulls, so a null would pass them.

    Args:
        name: name of the suite.
        expectations: expectations on values.
        required: further columns that must not be null.
    """
    columns = [e.configuration.kwargs.get(key) for e in expectations for key in COLUMN_KEYS]
    not_null = [
        gxe.ExpectColumnValuesToNotBeNull(column=column)
        for column in dict.fromkeys([*required, *columns])
        if column is not None
    ]
    return gx.ExpectationSuite(name=name, expectations=[*not_null, *expectations])


def check(frame: pd.DataFrame, suite: gx.ExpectationSuite) -> list[Finding]:
    """Evaluate every expectation of a suite on a data frame."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset(suite.name)
    # Great Expectations fingerprints the complete frame, so pass only the columns in use.
    used = {e.configuration.kwargs.get(k) for e in suite.expectations for k in COLUMN_KEYS}
    frame = frame[[column for column in frame.columns if column in used]]
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    validation = batch.validate(suite, result_format="SUMMARY")
    return [_to_finding(suite.name, result) for result in validation.results]


def merge_findings(parts: Iterable[list[Finding]]) -> list[Finding]:
    """Merge the findings of suites that ran on several frames, and sum their counts."""
    merged: dict[tuple[str, str, str, str], Finding] = {}
    for findings in parts:
        for finding in findings:
            key = (finding.suite, finding.expectation, finding.column, finding.limits)
            before = merged.get(key)
            merged[key] = finding if before is None else _sum(before, finding)
    return list(merged.values())


def first_failure(findings: list[Finding]) -> Finding | None:
    """Return the first failed blocking expectation, or None."""
    return next((f for f in findings if f.blocking and not f.success), None)


def _sum(a: Finding, b: Finding) -> Finding:
    elements, unexpected = a.elements + b.elements, a.unexpected + b.unexpected
    if not (a.elements or b.elements):  # the expectation raised an exception: no counts
        return a if not a.success else b
    values = next((f.observed for f in (a, b) if f.unexpected), "").partition(": ")[2]
    return replace(
        a,
        elements=elements,
        unexpected=unexpected,
        success=unexpected <= (1 - a.mostly) * elements,
        observed=_format_counts(unexpected, elements, values),
    )


def _to_finding(suite: str, result: Any) -> Finding:
    config = result.expectation_config
    arguments = {k: v for k, v in config.kwargs.items() if k not in ("batch_id", *COLUMN_KEYS)}
    counts = result.result or {}
    return Finding(
        suite=suite,
        expectation=config.type,
        column=" = ".join(str(config.kwargs[k]) for k in COLUMN_KEYS if k in config.kwargs),
        success=bool(result.success),
        blocking=config.severity == FailureSeverity.CRITICAL,
        observed=_format_observed(result),
        limits=", ".join(f"{k}={v}" for k, v in sorted(arguments.items()) if v is not None),
        elements=int(counts.get("element_count") or 0),
        unexpected=int(counts.get("unexpected_count") or 0),
        mostly=float(config.kwargs.get("mostly", 1.0)),
    )


def _format_observed(result: Any) -> str:
    exceptions = result.exception_info or {}
    # For a missing column Great Expectations nests the exception one level deeper.
    nested = exceptions.values() if "raised_exception" not in exceptions else [exceptions]
    for info in nested:
        if isinstance(info, dict) and info.get("raised_exception"):
            return str(info.get("exception_message"))
    details = result.result or {}
    if "observed_value" in details:
        return str(details["observed_value"])
    values = ", ".join(repr(v)[:60] for v in details.get("partial_unexpected_list", [])[:3])
    unexpected = details.get("unexpected_count") or 0
    return _format_counts(unexpected, details.get("element_count", 0), values)


def _format_counts(unexpected: int, elements: int, values: str) -> str:
    return f"{unexpected} of {elements} rows: {values}" if unexpected else f"{elements} rows"
