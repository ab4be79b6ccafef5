"""Stage `clean`: find duplicates, overlaps with every evaluation suite, and excluded tasks.

Writes data/clean:
- duplicates.parquet: uid of each duplicate, uid of the row that it duplicates, and the kind,
  `exact` or `near`.
- contamination.parquet: each pair of a row and an evaluation item that overlap, and the match,
  `question`, `ngram` or `short_item`.
- verdicts.parquet: uid of each affected row, the reasons, and whether it is dropped or flagged.
- report.json: counts per suite and task.
"""

from __future__ import annotations

import fnmatch
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from data_pipelines import layout
from data_pipelines.cleaning.duplicates import find_exact_duplicates, find_fuzzy_duplicates
from data_pipelines.cleaning.scan import ScanTask, scan_records
from data_pipelines.database import open_database, quote_literal, read_parquet
from data_pipelines.engine import open_engine
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.params import CleanParams, EngineParams
from data_pipelines.progress import progress_bar

ALWAYS_EXCLUDED_TASKS = ("*mmmlu*",)
"""The 57 tasks of NIV2 that are MMLU itself; FLAN's published task list excludes them, too."""
TASK_FIELDS = ("mixture", "task", "duplicates", "contaminated", "dropped")


def run(params: CleanParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/clean.

    Raises:
        DataError: a worker died repeatedly.
    """
    records = sorted((workspace / layout.RECORDS / "examples").glob("*.parquet"))
    with (
        new_folder(workspace / layout.CLEAN) as out,
        scratch_folder(workspace / layout.CLEAN) as scratch,
    ):
        tasks = [
            ScanTask(
                records=path,
                eval_items=workspace / layout.EVAL_ITEMS,
                params=params,
                signatures=scratch / f"signatures-{path.name}",
                matches=scratch / f"matches-{path.name}",
            )
            for path in records
        ]
        with open_engine(engine) as workers:
            results = workers.map(scan_records, tasks)
            for _ in progress_bar(results, desc="scan", total=len(tasks), unit="part"):
                pass
        with open_database(scratch, engine.memory_mb) as connection:
            files = read_parquet(records[0].parent / "*.parquet")
            connection.execute(f"CREATE VIEW records AS SELECT uid, mixture, task FROM {files}")
            _create_tables(connection, params, scratch)
            for name, order in (
                ("duplicates", "uid, duplicate_of"),
                ("contamination", "uid, suite, suite_task, item"),
                ("verdicts", "uid"),
            ):
                connection.execute(
                    f"COPY (SELECT * FROM {name} ORDER BY {order}) "
                    f"TO {quote_literal(out / f'{name}.parquet')} (FORMAT parquet)"
                )
            report = _make_report(connection, workspace / layout.EVAL_ITEMS)
            # The self-test of the contamination check runs with the same parameters.
            report["params"] = asdict(params)
            write_json(out / "report.json", report)


def _create_tables(
    connection: duckdb.DuckDBPyConnection, params: CleanParams, scratch: Path
) -> None:
    """Create the tables `duplicates`, `contamination` and `verdicts`."""
    signatures = scratch / "signatures-*.parquet"
    find_exact_duplicates(connection, signatures)
    if params.jaccard_threshold < 1:
        find_fuzzy_duplicates(connection, signatures, params.jaccard_threshold)
    connection.execute(
        f"CREATE TABLE contamination AS SELECT * FROM {read_parquet(scratch / 'matches-*.parquet')}"
    )
    tasks = connection.execute("SELECT DISTINCT task FROM records ORDER BY task").fetchall()
    patterns = (*ALWAYS_EXCLUDED_TASKS, *params.exclude_tasks)
    excluded = [
        task
        for (task,) in tasks
        if any(fnmatch.fnmatchcase(task.lower(), pattern.lower()) for pattern in patterns)
    ]
    connection.register("excluded", pa.table({"task": pa.array(excluded, pa.string())}))
    connection.execute(
        f"""
        CREATE TABLE verdicts AS
        SELECT uid, list(DISTINCT reason ORDER BY reason) AS reasons, bool_or(dropped) AS dropped
        FROM (
            SELECT uid, 'duplicate' AS reason, {params.duplicates == "drop"} AS dropped
            FROM duplicates
            UNION ALL
            SELECT uid, 'contaminated:' || suite, {params.contamination == "drop"}
            FROM contamination
            UNION ALL
            SELECT uid, 'excluded', true
            FROM records WHERE task IN (SELECT task FROM excluded)
        ) GROUP BY uid
        """
    )


def _make_report(connection: duckdb.DuckDBPyConnection, eval_items: Path) -> dict[str, Any]:
    def query(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql).fetchall()

    num_items = dict(
        query(f"SELECT suite, count(*) FROM {read_parquet(eval_items)} GROUP BY suite")
    )
    pairs = query(
        "SELECT suite, mixture, task, count(DISTINCT uid), count(DISTINCT (suite_task, item)), "
        "count(DISTINCT CASE WHEN match = 'question' THEN uid END) "
        "FROM contamination GROUP BY ALL ORDER BY ALL"
    )
    num_overlapping = dict(
        query("SELECT suite, count(DISTINCT (suite_task, item)) FROM contamination GROUP BY suite")
    )
    return {
        "duplicates": dict(
            query("SELECT kind, count(*) FROM duplicates GROUP BY kind ORDER BY kind")
        ),
        "tasks": [
            dict(zip(TASK_FIELDS, row, strict=True))
            for row in query(
                """
                SELECT r.mixture, r.task,
                       count_if(list_contains(v.reasons, 'duplicate')),
                       count_if(len(list_filter(v.reasons, lambda x: x LIKE 'contaminated:%')) > 0),
                       count_if(v.dropped)
                FROM verdicts v JOIN records r ON r.uid = v.uid GROUP BY ALL ORDER BY ALL
                """
            )
        ],
        "rows_dropped": query("SELECT count(*) FROM verdicts WHERE dropped")[0][0],
        "rows_flagged": query("SELECT count(*) FROM verdicts WHERE NOT dropped")[0][0],
        "rows_excluded": query(
            "SELECT count(*) FROM verdicts WHERE list_contains(reasons, 'excluded')"
        )[0][0],
        "contamination": {
            suite: {
                "num_items": total,
                "num_items_in_sources": num_overlapping.get(suite, 0),
                "tasks": [
                    {
                        "mixture": mixture,
                        "task": task,
                        "num_rows": num_rows,
                        "num_rows_same_question": same_question,
                        "num_items": num_task_items,
                    }
                    for name, mixture, task, num_rows, num_task_items, same_question in pairs
                    if name == suite
                ],
            }
            for suite, total in sorted(num_items.items())
        },
    }
