"""Stage `clean`: find duplicates, and overlaps with every evaluation suite.

Writes data/clean: duplicates.parquet (uid, the row that is kept for it, how), contamination.parquet
(every pair of a row and an evaluation item that overlap, and how), verdicts.parquet (each row that
something speaks against: the reasons, and whether it is dropped) and report.json.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.cleaning import contamination, duplicates
from data_pipelines.cleaning.words import joined, normalised
from data_pipelines.database import database, literal
from data_pipelines.engine import open_engine
from data_pipelines.example import TEXT
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.params import CleanParams, EngineParams
from data_pipelines.tables import batches, parquet_writer

TASK_FIGURES = ("mixture", "task", "duplicates", "contaminated", "dropped")
COLUMNS = ["uid", "mixture", "task", "split", "context", "question", "answer", "targets"]


@dataclass(frozen=True, kw_only=True)
class CleanTask:
    """One file of records, and where what is found goes."""

    records: Path
    guard: Path
    params: CleanParams
    signatures: Path
    matches: Path


def run(params: CleanParams, engine: EngineParams, workspace: Path) -> None:
    """Raises DataError when worker processes die."""
    records = sorted((workspace / layout.RECORDS / "examples").glob("*.parquet"))
    with (
        new_folder(workspace / layout.CLEAN) as out,
        scratch_folder(workspace / layout.CLEAN) as scratch,
    ):
        jobs = [
            CleanTask(
                records=path,
                guard=workspace / layout.EVAL_ITEMS,
                params=params,
                signatures=scratch / f"signatures-{path.name}",
                matches=scratch / f"matches-{path.name}",
            )
            for path in records
        ]
        with open_engine(engine) as workers:
            for _ in tqdm(workers.map(examine, jobs), desc="examine", total=len(jobs), unit="part"):
                pass
        with database(scratch, engine.memory_mb) as connection:
            files = literal(records[0].parent / "*.parquet")
            connection.execute(
                f"CREATE VIEW records AS SELECT uid, mixture, task FROM read_parquet({files})"
            )
            _decide(connection, params, scratch)
            for name, order in (
                ("duplicates", "uid, kept"),
                ("contamination", "uid, suite, suite_task, item"),
                ("verdicts", "uid"),
            ):
                connection.execute(
                    f"COPY (SELECT * FROM {name} ORDER BY {order}) "
                    f"TO {literal(out / f'{name}.parquet')} (FORMAT parquet)"
                )
            write_json(out / "report.json", _report(connection, workspace / layout.EVAL_ITEMS))


def examine(job: CleanTask) -> None:
    """Signatures and overlaps of one file of records."""
    guard = contamination.load_contamination_index(
        job.guard, job.params.ngram, job.params.max_ngram_items
    )
    with (
        parquet_writer(job.signatures, duplicates.SIGNATURE_SCHEMA) as signatures,
        parquet_writer(job.matches, contamination.MATCH_SCHEMA) as matches,
    ):
        for batch in batches(job.records, COLUMNS):
            context, question, answer = (
                normalised(batch[name].combine_chunks())
                for name in ("context", "question", "answer")
            )
            targets = normalised(batch["targets"].combine_chunks())
            everything = joined(context, question, answer, targets)
            # Rows of a suite's own tasks are not trained on: they need no keeping apart from it.
            trained = pc.not_equal(batch["split"].combine_chunks(), "test")
            matches.write_table(
                guard.matches(
                    batch.filter(trained), question.filter(trained), everything.filter(trained)
                )
            )
            # Plain text repeats itself rightly; only instructions are asked to be unlike.
            mask = pc.not_equal(batch["mixture"].combine_chunks(), TEXT)
            if pc.any(mask).as_py():
                columns = (batch["uid"].combine_chunks(), context, question, answer)
                asked = duplicates.signatures(*(column.filter(mask) for column in columns))
                signatures.write_table(asked)


def _decide(connection: duckdb.DuckDBPyConnection, params: CleanParams, scratch: Path) -> None:
    """Tables `duplicates`, `contamination` and `verdicts`."""
    signatures = scratch / "signatures-*.parquet"
    duplicates.exact_pairs(connection, signatures)
    if params.near_similarity < 1:
        duplicates.near_pairs(connection, signatures, params.near_similarity)
    connection.execute(
        f"CREATE TABLE contamination AS SELECT * FROM "
        f"read_parquet({literal(scratch / 'matches-*.parquet')})"
    )
    tasks = connection.execute("SELECT DISTINCT task FROM records ORDER BY task").fetchall()
    excluded = [
        task
        for (task,) in tasks
        if any(fnmatch.fnmatchcase(task, pattern) for pattern in params.exclude_tasks)
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


def _report(connection: duckdb.DuckDBPyConnection, guard: Path) -> dict[str, Any]:
    def counted(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql).fetchall()

    items = dict(
        counted(f"SELECT suite, count(*) FROM read_parquet({literal(guard)}) GROUP BY suite")
    )
    pairs = counted(
        "SELECT suite, mixture, task, count(DISTINCT uid), count(DISTINCT (suite_task, item)), "
        "count(DISTINCT CASE WHEN how = 'whole' THEN uid END) "
        "FROM contamination GROUP BY ALL ORDER BY ALL"
    )
    found = dict(
        counted(
            "SELECT suite, count(DISTINCT (suite_task, item)) FROM contamination GROUP BY suite"
        )
    )
    return {
        "duplicates": dict(
            counted("SELECT how, count(*) FROM duplicates GROUP BY how ORDER BY how")
        ),
        "tasks": [
            dict(zip(TASK_FIGURES, row, strict=True))
            for row in counted(
                """
                SELECT r.mixture, r.task,
                       count_if(list_contains(v.reasons, 'duplicate')),
                       count_if(len(list_filter(v.reasons, lambda x: x LIKE 'contaminated:%')) > 0),
                       count_if(v.dropped)
                FROM verdicts v JOIN records r ON r.uid = v.uid GROUP BY ALL ORDER BY ALL
                """
            )
        ],
        "rows_dropped": counted("SELECT count(*) FROM verdicts WHERE dropped")[0][0],
        "rows_flagged": counted("SELECT count(*) FROM verdicts WHERE NOT dropped")[0][0],
        "rows_excluded": counted(
            "SELECT count(*) FROM verdicts WHERE list_contains(reasons, 'excluded')"
        )[0][0],
        "contamination": {
            suite: {
                "items": total,
                "items_found": found.get(suite, 0),
                "tasks": [
                    {
                        "mixture": mixture,
                        "task": task,
                        "rows": rows,
                        "rows_whole": whole,
                        "items": overlapping,
                    }
                    for name, mixture, task, rows, overlapping, whole in pairs
                    if name == suite
                ],
            }
            for suite, total in sorted(items.items())
        },
    }
