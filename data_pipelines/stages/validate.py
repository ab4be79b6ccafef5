"""Stage `validate`: Great Expectations over what was read, and over the mixture.

Writes data/validation: results.json and report.html, also when an expectation fails. The packed
shards have their own suite, which the stage `pack` runs before it hands them on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.database import database, literal
from data_pipelines.engine import open_engine
from data_pipelines.errors import ExpectationFailed
from data_pipelines.expectations.language import english_share
from data_pipelines.expectations.page import render
from data_pipelines.expectations.runner import Finding, check, first_failure, merge
from data_pipelines.expectations.suites import (
    frame_of,
    mixture_suite,
    mixtures_suite,
    overlap_suite,
    quarantine_suite,
    raw_suite,
    tasks_suite,
)
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.params import EngineParams, ReadParams, ValidateParams

BATCH = 250_000
RAW_COLUMNS = ("uid", "mixture", "task", "split", "source_file", "inputs", "question")
MIXTURE_COLUMNS = ("uid", "mixture", "split", "source_file", "inputs", "targets", "options")
FEW = 12
LANGUAGE_ROWS = 500
LEAST_OF_A_TASK = 20
"""A task of fewer examples says nothing about the balance of its labels."""


@dataclass(frozen=True, kw_only=True)
class ValidateTask:
    """Files to look at together: of records, or of the mixture."""

    files: tuple[Path, ...]
    raw: bool
    params: ValidateParams
    read: ReadParams


def run(params: ValidateParams, read: ReadParams, engine: EngineParams, workspace: Path) -> None:
    """Raises ExpectationFailed when a blocking expectation does not hold; the report stays."""
    records = sorted((workspace / layout.RECORDS / "examples").glob("*.parquet"))
    windows = sorted((workspace / layout.MIXTURE / "examples").glob("*.parquet"))
    jobs = [
        ValidateTask(
            files=tuple(files),
            raw=files[0].parent.parent.name == "records",
            params=params,
            read=read,
        )
        for files in (*_grouped(records), *_grouped(windows))
    ]
    with open_engine(engine) as workers:
        # The library takes seconds to load in each worker: a few looks are sooner done right here.
        checked = workers.map(examine, jobs, few=FEW)
        findings = merge(tqdm(checked, desc="expectations", total=len(jobs)))
    findings += _of_the_whole(params, read, engine, workspace)
    findings.sort(key=lambda finding: finding.suite)
    target = workspace / layout.VALIDATION
    with new_folder(target) as out:
        (out / "report.html").write_text(render(findings), encoding="utf-8")
        write_json(out / "results.json", [asdict(finding) for finding in findings])
    failed = first_failure(findings)
    if failed is not None:
        count = sum(f.blocking and not f.success for f in findings)
        raise ExpectationFailed(
            f"{count} expectation(s) do not hold, first: {failed.message}; "
            f"see {target / 'report.html'}"
        )


def examine(job: ValidateTask) -> list[Finding]:
    """What can be said of each row."""
    columns = RAW_COLUMNS if job.raw else MIXTURE_COLUMNS
    frames = []
    for path in job.files:
        present = [column for column in columns if column in pq.read_schema(path).names]
        frames.append(frame_of(pq.read_table(path, columns=present)))
    frame = pd.concat(frames, ignore_index=True)
    if job.raw:
        return check(frame, raw_suite(job.read))
    return merge(
        check(part, mixture_suite(str(name), job.params)) for name, part in frame.groupby("mixture")
    )


def _grouped(files: list[Path]) -> list[list[Path]]:
    """Files together, up to a batch: each look costs the same, however few the rows."""
    groups: list[list[Path]] = []
    room = 0
    for path in files:
        rows = pq.read_metadata(path).num_rows
        if rows == 0:
            continue
        if rows > room:
            groups.append([])
            room = BATCH
        groups[-1].append(path)
        room -= rows
    return groups


def _of_the_whole(
    params: ValidateParams, read: ReadParams, engine: EngineParams, workspace: Path
) -> list[Finding]:
    mixture = workspace / layout.MIXTURE
    report = json.loads((mixture / "report.json").read_text(encoding="utf-8"))
    records = json.loads((workspace / layout.RECORDS / "report.json").read_text(encoding="utf-8"))
    overlap = json.loads((mixture / "contamination.json").read_text(encoding="utf-8"))
    with (
        scratch_folder(workspace / layout.VALIDATION) as scratch,
        database(scratch, engine.memory_mb) as connection,
    ):
        files = literal(mixture / "examples" / "*.parquet")
        connection.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet({files})")
        whole = connection.sql(
            """
            WITH said AS (
                SELECT mixture, md5_number_lower(inputs || targets) AS text, count(*) AS n
                FROM rows GROUP BY ALL
            ), named AS (
                SELECT mixture, uid, count(*) AS n FROM rows GROUP BY ALL
            )
            SELECT mixture, examples, repeated_uids, repeated_share FROM (
                SELECT mixture, sum(n)::BIGINT AS examples, 1 - count(*) / sum(n) AS repeated_share
                FROM said GROUP BY mixture
            ) JOIN (
                SELECT mixture, (sum(n) - count(*))::BIGINT AS repeated_uids
                FROM named GROUP BY mixture
            ) USING (mixture) ORDER BY mixture
            """
        ).df()
        balance = connection.sql(
            f"""
            SELECT task, max(n) / sum(n) AS answer_share FROM (
                SELECT task, targets, count(*) AS n FROM rows WHERE options IS NOT NULL
                GROUP BY task, targets
            ) GROUP BY task HAVING sum(n) >= {LEAST_OF_A_TASK} ORDER BY task
            """
        ).df()
        samples = {
            name: [
                text
                for (text,) in connection.execute(
                    "SELECT inputs FROM rows WHERE mixture = ? ORDER BY uid LIMIT ?",
                    [name, LANGUAGE_ROWS],
                ).fetchall()
            ]
            for name in whole["mixture"]
        }
    known = report["mixtures"]
    # A mixture whose every task has an empty quota has no row, and must not pass for that.
    rows = {name: {"examples": 0, "repeated_uids": 0, "repeated_share": 0.0} for name in known}
    rows |= {row.pop("mixture"): row for row in whole.to_dict("records")}
    mixtures = pd.DataFrame(
        [
            {
                "mixture": name,
                **row,
                "share_off_target": abs(known[name]["share"] - known[name]["target_share"]),
                "english_share": english_share(samples.get(name, [])),
            }
            for name, row in rows.items()
        ]
    )
    findings = check(mixtures, mixtures_suite(params))
    if len(balance):
        findings += check(balance, tasks_suite(params))
    if overlap:
        findings += check(_overlap(overlap), overlap_suite(params))
    return findings + check(_lost(records), quarantine_suite(read))


def _overlap(suites: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"suite": name, "contaminated_share": entry["num_contaminated"] / entry["num_items"]}
            for name, entry in suites.items()
        ]
    )


def _lost(records: dict[str, Any]) -> pd.DataFrame:
    """Share of refused rows of each source."""
    return pd.DataFrame(
        [
            {
                "source": name,
                "quarantined_share": entry["quarantined"]
                / max(1, entry["quarantined"] + entry["examples"]),
            }
            for name, entry in records["sources"].items()
        ]
    )
