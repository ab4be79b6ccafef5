"""Which rows a mixture holds and in which order: selections over Parquet files, in DuckDB.

Views: `records` (all that was read), `verdicts`, `duplicates`, `contamination` (what cleaning
found), `kept` (what may be chosen) and `chosen`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.database import literal
from data_pipelines.example import EXAMPLE_SCHEMA, TEXT
from data_pipelines.mixing.few_shot import POOL
from data_pipelines.params import MixParams
from data_pipelines.tables import parquet_writer

SPLITS = ("train", "validation")
CHOSEN_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("task", pa.string()),
        ("template", pa.string()),
        ("allow_exemplars", pa.bool_()),
        ("place", pa.uint64()),
        ("split", pa.string()),
    ]
)
Counts = dict[str, dict[str, int]]
"""Mixture -> task -> examples."""


def open_views(connection: duckdb.DuckDBPyConnection, workspace: Path) -> Counts:
    """Views `records` and `verdicts`; returns mixture -> task -> examples that may be chosen."""
    files = workspace / layout.RECORDS / "examples" / "*.parquet"
    clean = workspace / layout.CLEAN
    connection.execute(f"CREATE VIEW records AS SELECT * FROM read_parquet({literal(files)})")
    for name in ("verdicts", "duplicates", "contamination"):
        connection.execute(
            f"CREATE VIEW {name} AS "
            f"SELECT * FROM read_parquet({literal(clean / f'{name}.parquet')})"
        )
    connection.execute(
        """
        CREATE VIEW kept AS
        SELECT r.*, coalesce(v.reasons, []) AS flags FROM records r
        LEFT JOIN verdicts v ON v.uid = r.uid
        WHERE r.split = 'train' AND NOT coalesce(v.dropped, false)
        """
    )
    counted = connection.execute(
        f"""
        SELECT mixture, task, count(*) FROM kept WHERE mixture <> '{TEXT}'
        GROUP BY mixture, task ORDER BY mixture, task
        """
    ).fetchall()
    counts: Counts = {}
    for mixture, task, number in counted:
        counts.setdefault(mixture, {})[task] = number
    return counts


def choose(
    connection: duckdb.DuckDBPyConnection, quota: Counts, params: MixParams, target: Path
) -> None:
    """View `chosen`: uid, task, template, allow_exemplars, split, and `place`, the order by chance.

    The split goes by what is asked, of duplicates by what the row kept for them asks: a question
    never lies on both sides.
    """
    ordered = connection.sql(
        f"""
        WITH asked AS (
            SELECT d.uid, min(k.context || k.question) AS text FROM duplicates d
            JOIN records k ON k.uid = d.kept
            WHERE d.uid NOT IN (SELECT uid FROM verdicts WHERE dropped) GROUP BY d.uid
        )
        SELECT k.mixture, k.task, k.uid, k.template, k.allow_exemplars,
               md5_number_lower('{params.seed} order ' || k.uid) AS place,
               md5_number_lower(
                   '{params.seed} split ' || coalesce(a.text, k.context || k.question)
               ) AS side
        FROM kept k LEFT JOIN asked a ON a.uid = k.uid
        WHERE k.mixture <> '{TEXT}'
        ORDER BY k.mixture, k.task, md5_number_lower('{params.seed} mix ' || k.uid), k.uid
        """
    )
    group, taken = ("", ""), 0
    with ordered.to_arrow_reader(4096) as reader, parquet_writer(target, CHOSEN_SCHEMA) as file:
        for batch in reader:
            # The rows of a task follow each other: so many of its first ones as its quota allows.
            kept = []
            tasks = zip(batch["mixture"].to_pylist(), batch["task"].to_pylist(), strict=True)
            for row, key in enumerate(tasks):
                if key != group:
                    group, taken = key, 0
                if taken < quota[key[0]][key[1]]:
                    kept.append(row)
                    taken += 1
            rows = pa.Table.from_batches([batch]).take(pa.array(kept, pa.int64()))
            below = int(params.validation_share * 2**64)
            split = pc.if_else(
                pc.less(rows["side"], pa.scalar(below, pa.uint64())), "validation", "train"
            )
            file.write_table(rows.append_column("split", split).select(CHOSEN_SCHEMA.names))
    connection.execute(f"CREATE VIEW chosen AS SELECT * FROM read_parquet({literal(target)})")


def write_pool(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Worked examples for others: a few of each task and template, of the training split."""
    connection.execute(
        f"""
        COPY (
            WITH few AS (
                SELECT uid, place FROM chosen WHERE split = 'train' AND allow_exemplars
                QUALIFY {POOL} >=
                    row_number() OVER (PARTITION BY task, template ORDER BY place, uid)
            )
            SELECT r.uid, r.task, r.template, r.inputs, r.targets
            FROM few JOIN records r ON r.uid = few.uid ORDER BY few.place, few.uid
        ) TO {literal(target)} (FORMAT parquet)
        """
    )


def chosen_windows(
    connection: duckdb.DuckDBPyConnection, params: MixParams, scratch: Path
) -> list[Path]:
    """The chosen rows in their order, a file a window."""
    names = [name for name in EXAMPLE_SCHEMA.names if name != "split"]
    columns = ", ".join(f"k.{name}" for name in names)
    files: list[Path] = []
    for split in SPLITS:
        rows = connection.sql(
            f"""
            SELECT {columns}, c.split, k.allow_exemplars FROM chosen c JOIN kept k ON k.uid = c.uid
            WHERE c.split = '{split}' ORDER BY c.place, c.uid
            """
        )
        files += _write_windows(rows, params.examples_per_shard, scratch, f"{split}-")
    return files


def text_windows(connection: duckdb.DuckDBPyConnection, params: MixParams, target: Path) -> None:
    """Plain text in an order by chance, a file a window."""
    rows = connection.sql(
        f"SELECT inputs AS text FROM kept WHERE mixture = '{TEXT}' "
        f"ORDER BY md5_number_lower('{params.seed} order ' || uid), uid"
    )
    _write_windows(rows, params.examples_per_shard, target, "")


def _write_windows(
    rows: duckdb.DuckDBPyRelation, size: int, folder: Path, prefix: str
) -> list[Path]:
    files: list[Path] = []
    with rows.to_arrow_reader(min(size, 4096)) as reader:
        writer, left = None, 0
        for batch in reader:
            while batch.num_rows:
                if writer is None or not left:
                    if writer is not None:
                        writer.close()
                    path = folder / f"{prefix}{len(files):05d}.parquet"
                    files.append(path)
                    writer, left = pq.ParquetWriter(path, reader.schema, compression="lz4"), size
                taken = batch.slice(0, left)
                writer.write_batch(taken)
                left -= taken.num_rows
                batch = batch.slice(taken.num_rows)
        if writer is not None:
            writer.close()
    return files


def overlap(connection: duckdb.DuckDBPyConnection, workspace: Path) -> dict[str, Any]:
    """Suite -> how many items it has, and which of them a row of the mixture overlaps with."""
    totals = connection.execute(
        f"SELECT suite, count(*) FROM read_parquet({literal(workspace / layout.EVAL_ITEMS)}) "
        "GROUP BY suite ORDER BY suite"
    ).fetchall()
    overlapping = connection.execute(
        f"""
        SELECT DISTINCT c.suite, c.suite_task, c.item FROM contamination c
        WHERE c.uid IN (SELECT uid FROM chosen)
        OR c.uid IN (SELECT uid FROM kept WHERE mixture = '{TEXT}')
        ORDER BY c.suite, c.suite_task, c.item
        """
    ).fetchall()
    result: dict[str, Any] = {
        suite: {"num_items": total, "num_contaminated": 0, "tasks": {}} for suite, total in totals
    }
    for suite, task, item in overlapping:
        result[suite]["num_contaminated"] += 1
        result[suite]["tasks"].setdefault(task, []).append(item)
    return result
