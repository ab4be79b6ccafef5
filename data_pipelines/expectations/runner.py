"""Runs Great Expectations suites over data frames and flattens what they say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

# Before the import: the library would otherwise send usage statistics.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.metadata_types import FailureSeverity

COLUMN_KEYS = ("column", "column_A", "column_B")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One expectation's outcome. One about each value also says of how many values."""

    suite: str
    expectation: str
    column: str
    success: bool
    blocking: bool
    observed: str
    """What was seen: an observed value, or the count and first few unexpected values."""
    limits: str
    elements: int = 0
    unexpected: int = 0
    mostly: float = 1.0

    @property
    def message(self) -> str:
        return (
            f"{self.suite}: {self.expectation} {self.column} ({self.limits}), seen {self.observed}"
        )


def check(frame: pd.DataFrame, suite: gx.ExpectationSuite) -> list[Finding]:
    """Every expectation of the suite, evaluated on the frame."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset(suite.name)
    # Only what is looked at: the library fingerprints every value of the frame it is given.
    asked = {e.configuration.kwargs.get(k) for e in suite.expectations for k in COLUMN_KEYS}
    frame = frame[[column for column in frame.columns if column in asked]]
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(suite, result_format="SUMMARY")
    return [_finding(suite.name, result) for result in outcome.results]


def merge(parts: Iterable[list[Finding]]) -> list[Finding]:
    """Findings about each value, of the same suite over many frames, as one: counts are summed."""
    merged: dict[tuple[str, str, str, str], Finding] = {}
    for findings in parts:
        for finding in findings:
            key = (finding.suite, finding.expectation, finding.column, finding.limits)
            before = merged.get(key)
            merged[key] = finding if before is None else _sum(before, finding)
    return list(merged.values())


def first_failure(findings: list[Finding]) -> Finding | None:
    """The first blocking expectation that does not hold."""
    return next((f for f in findings if f.blocking and not f.success), None)


def _sum(a: Finding, b: Finding) -> Finding:
    elements, unexpected = a.elements + b.elements, a.unexpected + b.unexpected
    if not (a.elements or b.elements):  # an exception: it has no counts
        return a if not a.success else b
    shown = next((f.observed for f in (a, b) if f.unexpected), "").partition(": ")[2]
    return replace(
        a,
        elements=elements,
        unexpected=unexpected,
        success=unexpected <= (1 - a.mostly) * elements,
        observed=_counted(unexpected, elements, shown),
    )


def _finding(suite: str, result: Any) -> Finding:
    config = result.expectation_config
    arguments = {k: v for k, v in config.kwargs.items() if k not in ("batch_id", *COLUMN_KEYS)}
    found = result.result or {}
    return Finding(
        suite=suite,
        expectation=config.type,
        column=" = ".join(str(config.kwargs[k]) for k in COLUMN_KEYS if k in config.kwargs),
        success=bool(result.success),
        blocking=config.severity == FailureSeverity.CRITICAL,
        observed=_observed(result),
        limits=", ".join(f"{k}={v}" for k, v in sorted(arguments.items()) if v is not None),
        elements=int(found.get("element_count") or 0),
        unexpected=int(found.get("unexpected_count") or 0),
        mostly=float(config.kwargs.get("mostly", 1.0)),
    )


def _observed(result: Any) -> str:
    raised = result.exception_info or {}
    # A missing column is reported as a nested exception, not as a failed value.
    nested = raised.values() if "raised_exception" not in raised else [raised]
    for info in nested:
        if isinstance(info, dict) and info.get("raised_exception"):
            return str(info.get("exception_message"))
    found = result.result or {}
    if "observed_value" in found:
        return str(found["observed_value"])
    some = ", ".join(repr(v)[:60] for v in found.get("partial_unexpected_list", [])[:3])
    return _counted(found.get("unexpected_count") or 0, found.get("element_count", 0), some)


def _counted(unexpected: int, elements: int, some: str) -> str:
    return f"{unexpected} of {elements} rows: {some}" if unexpected else f"{elements} rows"
