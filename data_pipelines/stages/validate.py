"""Stage `validate`: check the records and the mixture with Great Expectations.

Writes results.json and report.html to data/validation, also if an expectation fails. The stage
`pack` validates the packed shards.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.database import open_database, read_parquet
from data_pipelines.engine import open_engine
from data_pipelines.errors import ExpectationFailed
from data_pipelines.expectations.facts import check_facts
from data_pipelines.expectations.language import english_share
from data_pipelines.expectations.page import render
from data_pipelines.expectations.runner import Finding, check, first_failure, merge_findings
from data_pipelines.expectations.suites import (
    EXAMPLE_COLUMNS,
    RECORD_COLUMNS,
    contamination_suite,
    make_row_frame,
    mixture_suite,
    mixtures_suite,
    quarantine_suite,
    records_suite,
    tasks_suite,
)
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.params import EngineParams, ReadParams, ValidateParams
from data_pipelines.progress import progress_bar

ROWS_PER_CHECK = 250_000
MIN_PARALLEL_TASKS = 13
"""Workers need seconds to import Great Expectations; fewer checks are faster in one process."""
LANGUAGE_SAMPLE_ROWS = 500
"""Largest number of rows of a mixture whose language is identified."""
NO_MIXTURE = "without mixture"
"""Name of the suite of rows whose mixture is null."""
MIN_TASK_EXAMPLES = 20
"""Smallest number of multiple-choice examples of a task whose label balance is checked."""


@dataclass(frozen=True, kw_only=True)
class ValidateTask:
    """Files to check together: either records or shards of the mixture."""

    files: tuple[Path, ...]
    is_records: bool
    params: ValidateParams
    read: ReadParams


def run(params: ValidateParams, read: ReadParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/validation; without training sources, without findings.

    Raises:
        ExpectationFailed: a blocking expectation failed; the report is written first.
        DataError: a worker died repeatedly.
    """
    records = sorted((workspace / layout.RECORDS / "examples").glob("*.parquet"))
    shards = sorted((workspace / layout.MIXTURE / "examples").glob("*.parquet"))
    tasks = [
        ValidateTask(files=tuple(files), is_records=is_records, params=params, read=read)
        for is_records, paths in ((True, records), (False, shards))
        for files in _group_files(paths)
    ]
    with open_engine(engine) as workers:
        checked = workers.map(validate_files, tasks, min_parallel_tasks=MIN_PARALLEL_TASKS)
        findings = merge_findings(progress_bar(checked, desc="expectations", total=len(tasks)))
    if tasks:  # without training sources there is nothing to validate
        findings += _dataset_findings(params, read, engine, workspace)
        findings += check_facts(workspace)
    findings.sort(key=lambda finding: finding.suite)
    target = workspace / layout.VALIDATION
    with new_folder(target) as out:
        (out / "report.html").write_text(render(findings), encoding="utf-8")
        write_json(out / "results.json", [asdict(finding) for finding in findings])
    failure = first_failure(findings)
    if failure is not None:
        num_failed = sum(f.blocking and not f.success for f in findings)
        raise ExpectationFailed(
            f"{num_failed} expectation(s) failed, first: {failure.message}; "
            f"see {target / 'report.html'}"
        )


def validate_files(task: ValidateTask) -> list[Finding]:
    """Run the row-level suites on the files of one task."""
    columns = RECORD_COLUMNS if task.is_records else EXAMPLE_COLUMNS
    frames = []
    for path in task.files:
        present = [column for column in columns if column in pq.read_schema(path).names]
        frames.append(make_row_frame(pq.read_table(path, columns=present)))
    frame = pd.concat(frames, ignore_index=True)
    if task.is_records:
        return check(frame, records_suite(task.read))
    return merge_findings(
        check(rows, mixture_suite(str(name), task.params))
        for name, rows in frame.groupby(frame["mixture"].fillna(NO_MIXTURE))
    )


def _group_files(files: list[Path]) -> list[list[Path]]:
    """Group files into checks of about ROWS_PER_CHECK rows, because each check has a fixed cost.

    A larger file is checked alone; files without rows are omitted.
    """
    groups: list[list[Path]] = []
    free_rows = 0
    for path in files:
        num_rows = pq.read_metadata(path).num_rows
        if num_rows == 0:
            continue
        if num_rows > free_rows:
            groups.append([])
            free_rows = ROWS_PER_CHECK
        groups[-1].append(path)
        free_rows -= num_rows
    return groups


def _dataset_findings(
    params: ValidateParams, read: ReadParams, engine: EngineParams, workspace: Path
) -> list[Finding]:
    """Run the suites on the statistics of mixtures, tasks, evaluation suites and sources."""
    mixture = workspace / layout.MIXTURE
    report = json.loads((mixture / "report.json").read_text(encoding="utf-8"))
    records = json.loads((workspace / layout.RECORDS / "report.json").read_text(encoding="utf-8"))
    contamination = json.loads((mixture / "contamination.json").read_text(encoding="utf-8"))
    with (
        scratch_folder(workspace / layout.VALIDATION) as scratch,
        open_database(scratch, engine.memory_mb) as connection,
    ):
        files = read_parquet(mixture / "examples" / "*.parquet")
        # Rows without a mixture are in no statistics; the row-level suites reject them.
        connection.execute(f"CREATE VIEW rows AS SELECT * FROM {files} WHERE mixture IS NOT NULL")
        statistics = connection.sql(
            """
            -- The repetitions of a row (`mix.repeat`) are intended, not duplicates.
            WITH texts AS (
                SELECT mixture, md5_number_lower(inputs || targets) AS text, count(*) AS n
                FROM rows WHERE repetition = 0 GROUP BY ALL
            ), uids AS (
                SELECT mixture, uid, repetition, count(*) AS n FROM rows GROUP BY ALL
            )
            SELECT mixture, examples, repeated_uids, repeated_share FROM (
                SELECT mixture, 1 - count(*) / sum(n) AS repeated_share
                FROM texts GROUP BY mixture
            ) JOIN (
                SELECT mixture, sum(n)::BIGINT AS examples,
                       (sum(n) - count(*))::BIGINT AS repeated_uids
                FROM uids GROUP BY mixture
            ) USING (mixture) ORDER BY mixture
            """
        ).df()
        label_balance = connection.sql(
            f"""
            SELECT task, max(n) / sum(n) AS answer_share FROM (
                SELECT task, targets, count(*) AS n FROM rows WHERE options IS NOT NULL
                GROUP BY task, targets
            ) GROUP BY task HAVING sum(n) >= {MIN_TASK_EXAMPLES} ORDER BY task
            """
        ).df()
        samples = {
            name: [
                text
                for (text,) in connection.execute(
                    "SELECT inputs FROM rows WHERE mixture = ? AND inputs IS NOT NULL "
                    "ORDER BY uid LIMIT ?",
                    [name, LANGUAGE_SAMPLE_ROWS],
                ).fetchall()
            ]
            for name in statistics["mixture"]
        }
    targets = {n: entry for n, entry in report["mixtures"].items() if entry["target_share"]}
    # A mixture with a share but no row is not in the query's result, but must fail `examples`.
    rows = {name: {"examples": 0, "repeated_uids": 0, "repeated_share": 0.0} for name in targets}
    rows |= {row.pop("mixture"): row for row in statistics.to_dict("records")}
    mixtures = pd.DataFrame(
        [
            {
                "mixture": name,
                **row,
                "share_off_target": abs(targets[name]["share"] - targets[name]["target_share"]),
                "english_share": english_share(samples.get(name, [])),
            }
            for name, row in rows.items()
        ]
    )
    findings = check(mixtures, mixtures_suite(params))
    if len(label_balance):
        findings += check(label_balance, tasks_suite(params))
    if contamination:
        findings += check(_contamination_frame(contamination), contamination_suite(params))
    return findings + check(_quarantine_frame(records), quarantine_suite(read))


def _contamination_frame(suites: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"suite": name, "contaminated_share": entry["num_contaminated"] / entry["num_items"]}
            for name, entry in suites.items()
        ]
    )


def _quarantine_frame(records: dict[str, Any]) -> pd.DataFrame:
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
