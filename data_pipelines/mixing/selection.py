"""Selection and order of the rows of a mixture, by SQL over Parquet files (DuckDB).

Views: `records` (all examples), `verdicts`, `duplicates`, `contamination` (results of cleaning),
`eligible` (training examples and plain text that cleaning did not drop) and `selected` (the
training examples that are in the mixture, without plain text).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.database import quote_literal, read_parquet
from data_pipelines.example import EXAMPLE_SCHEMA, TEXT, TEXT_SCHEMA
from data_pipelines.mixing.few_shot import POOL_SIZE
from data_pipelines.params import MixParams
from data_pipelines.tables import open_parquet_writer

SPLITS = ("train", "validation")
SELECTED_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("task", pa.string()),
        ("template", pa.string()),
        ("allow_exemplars", pa.bool_()),
        ("split", pa.string()),
        ("repetition", pa.int32()),
    ]
)
Counts = dict[str, dict[str, int]]
"""Mixture -> task -> number of examples."""


def open_views(connection: duckdb.DuckDBPyConnection, workspace: Path) -> Counts:
    """Create the views over data/records and data/clean.

    Returns:
        The number of eligible examples by mixture and task, without plain text.
    """
    files = workspace / layout.RECORDS / "examples" / "*.parquet"
    clean = workspace / layout.CLEAN
    connection.execute(f"CREATE VIEW records AS SELECT * FROM {read_parquet(files)}")
    for name in ("verdicts", "duplicates", "contamination"):
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM {read_parquet(clean / f'{name}.parquet')}"
        )
    connection.execute(
        """
        CREATE VIEW eligible AS
        SELECT r.*, coalesce(v.reasons, []) AS flags FROM records r
        LEFT JOIN verdicts v ON v.uid = r.uid
        WHERE r.split = 'train' AND NOT coalesce(v.dropped, false)
        """
    )
    rows = connection.execute(
        f"""
        SELECT mixture, task, count(*) FROM eligible WHERE mixture <> '{TEXT}'
        GROUP BY mixture, task ORDER BY mixture, task
        """
    ).fetchall()
    counts: Counts = {}
    for mixture, task, number in rows:
        counts.setdefault(mixture, {})[task] = number
    return counts


def select_examples(
    connection: duckdb.DuckDBPyConnection,
    available: Counts,
    quotas: Counts,
    params: MixParams,
    target: Path,
) -> None:
    """Select random examples up to the quota of each task, and create the view `selected`.

    A hash of context and question determines the split, so the same question is never in both
    splits. For a duplicate, it is the hash of the row that it duplicates. The repetitions of a row
    have its split.

    Args:
        connection: database with the views of `open_views`.
        available: number of eligible examples by mixture and task.
        quotas: target number of examples by mixture and task.
        params: seed, validation share and repetition.
        target: Parquet file to write, with SELECTED_SCHEMA. The view adds `sort_key`, the random
            order of the mixture.
    """
    ordered = connection.sql(
        f"""
        WITH originals AS (
            SELECT d.uid, min(r.context || r.question) AS text FROM duplicates d
            JOIN records r ON r.uid = d.duplicate_of
            WHERE d.uid NOT IN (SELECT uid FROM verdicts WHERE dropped) GROUP BY d.uid
        )
        SELECT e.mixture, e.task, e.uid, e.template, e.allow_exemplars,
               md5_number_lower(
                   '{params.seed} split ' || coalesce(o.text, e.context || e.question)
               ) AS split_key
        FROM eligible e LEFT JOIN originals o ON o.uid = e.uid
        WHERE e.mixture <> '{TEXT}'
        ORDER BY e.mixture, e.task, md5_number_lower('{params.seed} mix ' || e.uid), e.uid
        """
    )
    max_copies = params.max_repeats if params.repeat else 1
    threshold = pa.scalar(int(params.validation_share * 2**64), pa.uint64())
    group, rank = ("", ""), 0
    with (
        ordered.to_arrow_reader(4096) as reader,
        open_parquet_writer(target, SELECTED_SCHEMA) as file,
    ):
        for batch in reader:
            indices: list[int] = []
            repetitions: list[int] = []
            tasks = zip(batch["mixture"].to_pylist(), batch["task"].to_pylist(), strict=True)
            for row, (mixture, task) in enumerate(tasks):
                # The rows of a task are consecutive.
                rank = rank + 1 if (mixture, task) == group else 0
                group = (mixture, task)
                num_copies = count_copies(
                    quotas[mixture][task], available[mixture][task], rank, max_copies
                )
                indices += [row] * num_copies
                repetitions += range(num_copies)
            rows = pa.Table.from_batches([batch]).take(pa.array(indices, pa.int64()))
            split = pc.if_else(pc.less(rows["split_key"], threshold), "validation", "train")
            rows = rows.append_column("split", split)
            rows = rows.append_column("repetition", pa.array(repetitions, pa.int32()))
            file.write_table(rows.select(SELECTED_SCHEMA.names))
    connection.execute(
        f"""
        CREATE VIEW selected AS SELECT *, md5_number_lower(
            '{params.seed} order ' || uid || if(repetition > 0, '/' || repetition, '')
        ) AS sort_key
        FROM {read_parquet(target)}
        """
    )


def count_copies(quota: int, num_available: int, rank: int, max_copies: int) -> int:
    """Return how often the mixture contains the row at position `rank` of its task.

    Every row is repeated as often as every other one of its task, or once less.

    Args:
        quota: target number of examples of the task.
        num_available: rows of the task.
        rank: position of the row in the random order of the task, from 0.
        max_copies: largest number of times that a row is in the mixture.
    """
    num_rounds, remainder = divmod(quota, num_available)
    return min(num_rounds + (rank < remainder), max_copies)


def write_exemplar_pool(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write up to POOL_SIZE candidate exemplars of each task and template.

    Candidates are from the training split and allow exemplars themselves.

    Args:
        connection: database with the views `selected` and `eligible`.
        target: Parquet file to write, with the columns that `load_pool` reads.
    """
    connection.execute(
        f"""
        COPY (
            WITH pool AS (
                SELECT uid, sort_key FROM selected
                WHERE split = 'train' AND allow_exemplars AND repetition = 0
                QUALIFY {POOL_SIZE} >=
                    row_number() OVER (PARTITION BY task, template ORDER BY sort_key, uid)
            )
            SELECT r.uid, r.mixture, r.task, r.template, r.inputs, r.targets, r.flags
            FROM pool JOIN eligible r ON r.uid = pool.uid ORDER BY pool.sort_key, pool.uid
        ) TO {quote_literal(target)} (FORMAT parquet)
        """
    )


def write_selected_shards(
    connection: duckdb.DuckDBPyConnection, params: MixParams, folder: Path
) -> list[Path]:
    """Write the selected rows in random order.

    Args:
        connection: database with the views `selected` and `eligible`.
        params: number of rows per shard.
        folder: folder for the files.

    Returns:
        The files, `SPLIT-NNNNN.parquet`, one per shard.
    """
    added = ("split", "exemplars", "repetition")
    names = [name for name in EXAMPLE_SCHEMA.names if name not in added]
    columns = ", ".join(f"e.{name}" for name in names)
    files: list[Path] = []
    for split in SPLITS:
        rows = connection.sql(
            f"""
            SELECT {columns}, s.split, s.repetition, e.allow_exemplars
            FROM selected s JOIN eligible e ON e.uid = s.uid
            WHERE s.split = '{split}' ORDER BY s.sort_key, s.uid, s.repetition
            """
        )
        files += _write_shards(rows, params.examples_per_shard, folder, f"{split}-")
    return files


def write_text_shards(
    connection: duckdb.DuckDBPyConnection, params: MixParams, folder: Path
) -> None:
    """Write plain pre-training text in random order, one file per shard, with TEXT_SCHEMA."""
    origin = ", ".join(TEXT_SCHEMA.names[1:])
    rows = connection.sql(
        f"SELECT inputs AS text, {origin} FROM eligible WHERE mixture = '{TEXT}' "
        f"ORDER BY md5_number_lower('{params.seed} order ' || uid), uid"
    )
    _write_shards(rows, params.examples_per_shard, folder, "")


def _write_shards(
    rows: duckdb.DuckDBPyRelation, rows_per_shard: int, folder: Path, prefix: str
) -> list[Path]:
    files: list[Path] = []
    with rows.to_arrow_reader(min(rows_per_shard, 4096)) as reader:
        writer, remaining = None, 0
        for batch in reader:
            while batch.num_rows:
                if writer is None or not remaining:
                    if writer is not None:
                        writer.close()
                    path = folder / f"{prefix}{len(files):05d}.parquet"
                    files.append(path)
                    writer = pq.ParquetWriter(path, reader.schema, compression="lz4")
                    remaining = rows_per_shard
                taken = batch.slice(0, remaining)
                writer.write_batch(taken)
                remaining -= taken.num_rows
                batch = batch.slice(taken.num_rows)
        if writer is not None:
            writer.close()
    return files


def count_contamination(connection: duckdb.DuckDBPyConnection, workspace: Path) -> dict[str, Any]:
    """Count the evaluation items that overlap with the mixture or its plain text.

    Returns:
        Suite -> `num_items`, `num_contaminated`, and `tasks`, the ids of contaminated items by
        task of the suite.
    """
    totals = connection.execute(
        f"SELECT suite, count(*) FROM {read_parquet(workspace / layout.EVAL_ITEMS)} "
        "GROUP BY suite ORDER BY suite"
    ).fetchall()
    overlaps = connection.execute(
        f"""
        SELECT DISTINCT c.suite, c.suite_task, c.item FROM contamination c
        WHERE c.uid IN (SELECT uid FROM selected)
        OR c.uid IN (SELECT uid FROM eligible WHERE mixture = '{TEXT}')
        ORDER BY c.suite, c.suite_task, c.item
        """
    ).fetchall()
    result: dict[str, Any] = {
        suite: {"num_items": total, "num_contaminated": 0, "tasks": {}} for suite, total in totals
    }
    for suite, task, item in overlaps:
        result[suite]["num_contaminated"] += 1
        result[suite]["tasks"].setdefault(task, []).append(item)
    return result
