"""Stage `validate`: Great Expectations over every mixture.

Writes data/validation: results.json and report.html, also when an expectation fails.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.errors import ExpectationFailed
from data_pipelines.expectations.page import render
from data_pipelines.expectations.runner import Finding, check
from data_pipelines.expectations.suites import (
    mixture_frame,
    mixture_suite,
    quarantine_suite,
    shares_suite,
)
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import MixParams, ValidateParams


def run(params: ValidateParams, mix: MixParams, workspace: Path) -> None:
    """Raises ExpectationFailed when a blocking expectation does not hold; the report stays."""
    folder = workspace / layout.MIXTURE
    rows = pq.read_table(folder / "examples.parquet").to_pandas()
    quarantine = pq.read_table(folder / "quarantine.parquet").to_pandas()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    mixtures = report["mixtures"]
    findings: list[Finding] = []
    for name in tqdm(sorted(mixtures), desc="expectations", unit="mixture"):
        frame = mixture_frame(rows[rows["mixture"] == name])
        findings += check(frame, mixture_suite(name, params))
    shares = pd.DataFrame([{name: entry["share"] for name, entry in mixtures.items()}])
    targets = {name: entry["target_share"] for name, entry in mixtures.items()}
    findings += check(shares, shares_suite(targets, params))
    findings += check(_lost(rows, quarantine, mixtures), quarantine_suite(mix))
    target = workspace / layout.VALIDATION
    with new_folder(target) as out:
        (out / "report.html").write_text(render(findings), encoding="utf-8")
        write_json(out / "results.json", [asdict(finding) for finding in findings])
    failed = [finding for finding in findings if finding.blocking and not finding.success]
    if failed:
        first = failed[0]
        raise ExpectationFailed(
            f"{len(failed)} expectation(s) do not hold, first: {first.suite}: "
            f"{first.expectation} {first.column} ({first.limits}), seen {first.observed}; "
            f"see {target / 'report.html'}"
        )


def _lost(
    rows: pd.DataFrame, quarantine: pd.DataFrame, mixtures: dict[str, dict[str, int]]
) -> pd.DataFrame:
    """Share of refused rows for each mixture that has data."""
    refused = quarantine["source_file"].astype(str).str.split("/").str[0].value_counts()
    return pd.DataFrame(
        [
            {
                "mixture": name,
                "quarantined_share": refused.get(name, 0)
                / (refused.get(name, 0) + entry["available"]),
            }
            for name, entry in mixtures.items()
        ]
    )
