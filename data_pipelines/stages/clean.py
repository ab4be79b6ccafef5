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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.cleaning.contamination import MATCH_SCHEMA, load_contamination_index
from data_pipelines.cleaning.duplicates import (
    SIGNATURE_SCHEMA,
    compute_signatures,
    find_exact_duplicates,
    find_fuzzy_duplicates,
)
from data_pipelines.cleaning.words import normalise
from data_pipelines.database import open_database, quote_literal, read_parquet
from data_pipelines.engine import open_engine
from data_pipelines.example import TEXT
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.params import CleanParams, EngineParams
from data_pipelines.tables import open_parquet_writer, read_batches

TEXT_COLUMNS = ("context", "question", "answer", "inputs", "targets")
COLUMNS = ["uid", "mixture", "task", "split", *TEXT_COLUMNS]
ALWAYS_EXCLUDED_TASKS = ("*mmmlu*",)
"""The 57 tasks of NIV2 that are MMLU itself; FLAN's published task list excludes them, too."""
SIGNATURE_COLUMNS = TEXT_COLUMNS[:3]
TASK_FIELDS = ("mixture", "task", "duplicates", "contaminated", "dropped")


@dataclass(frozen=True, kw_only=True)
class CleanTask:
    """One file of records, and the files to which its signatures and overlaps are written."""

    records: Path
    eval_items: Path
    params: CleanParams
    signatures: Path
    matches: Path


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
            CleanTask(
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
            for _ in tqdm(results, desc="scan", total=len(tasks), unit="part"):
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
            write_json(out / "report.json", _make_report(connection, workspace / layout.EVAL_ITEMS))


def scan_records(task: CleanTask) -> None:
    """Write the duplicate signatures and evaluation overlaps of one file of records."""
    index = load_contamination_index(
        task.eval_items, task.params.ngram, task.params.max_ngram_items
    )
    with (
        open_parquet_writer(task.signatures, SIGNATURE_SCHEMA) as signatures,
        open_parquet_writer(task.matches, MATCH_SCHEMA) as matches,
    ):
        for batch in read_batches(task.records, COLUMNS):
            texts = _normalise_columns(batch)
            # Held-out tasks (split `test`) are never trained on, so they cannot contaminate.
            trained = pc.not_equal(batch["split"].combine_chunks(), "test")
            columns = (texts[name].filter(trained) for name in ("question", "inputs", "targets"))
            matches.write_table(index.find_matches(batch.filter(trained), *columns))
            # Only instructions are deduplicated, not plain pre-training text.
            is_instruction = pc.not_equal(batch["mixture"].combine_chunks(), TEXT)
            if pc.any(is_instruction).as_py():
                columns = (texts[name].filter(is_instruction) for name in SIGNATURE_COLUMNS)
                uids = batch["uid"].combine_chunks().filter(is_instruction)
                signatures.write_table(compute_signatures(uids, *columns))


def _normalise_columns(rows: pa.Table) -> dict[str, pa.Array]:
    """Return the normalised text columns; equal columns, as in rendered exports, only once."""
    columns = {name: rows[name].combine_chunks() for name in TEXT_COLUMNS}
    texts = {name: normalise(columns[name]) for name in SIGNATURE_COLUMNS}
    for name, source in (("inputs", "question"), ("targets", "answer")):
        is_same = columns[name].equals(columns[source])
        texts[name] = texts[source] if is_same else normalise(columns[name])
    return texts


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
