"""Runs Great Expectations suites over data frames and flattens what they say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

# Before the import: the library would otherwise send usage statistics.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.metadata_types import FailureSeverity


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One expectation's outcome."""

    suite: str
    expectation: str
    column: str
    success: bool
    blocking: bool
    observed: str
    """What was seen: an observed value, or the count and first few unexpected values."""
    limits: str


def check(frame: pd.DataFrame, suite: gx.ExpectationSuite) -> list[Finding]:
    """Every expectation of the suite, evaluated on the frame."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(suite, result_format="SUMMARY")
    return [_finding(suite.name, result) for result in outcome.results]


def _finding(suite: str, result: Any) -> Finding:
    config = result.expectation_config
    arguments = {k: v for k, v in config.kwargs.items() if k not in ("batch_id", "column")}
    return Finding(
        suite=suite,
        expectation=config.type,
        column=str(config.kwargs.get("column", "")),
        success=bool(result.success),
        blocking=config.severity == FailureSeverity.CRITICAL,
        observed=_observed(result),
        limits=", ".join(f"{k}={v}" for k, v in sorted(arguments.items()) if v is not None),
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
    if found.get("unexpected_count"):
        some = ", ".join(repr(v)[:60] for v in found.get("partial_unexpected_list", [])[:3])
        return f"{found['unexpected_count']} of {found['element_count']} rows: {some}"
    return f"{found.get('element_count', 0)} rows"
