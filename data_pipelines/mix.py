"""Stage `mix`: choose by published rates, put worked examples in front, order by chance.

Writes data/mixture: examples/{train,validation}-*.parquet and text/*.parquet (pre-training), each
file one window of the whole; contamination.json (which evaluation items the mixture overlaps
with); report.json (every task), metrics.json (the shares, for DVC). Which rows are taken, how and
in which order depends on the seed and each row's uid alone.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.database import database, literal
from data_pipelines.engine import open_engine
from data_pipelines.errors import SourceError
from data_pipelines.example import EXAMPLE_SCHEMA, TEXT
from data_pipelines.mixing.few_shot import POOL, compose, load_pool
from data_pipelines.mixing.rates import quotas, target_shares
from data_pipelines.output import new_folder, write_json
from data_pipelines.params import EngineParams, MixParams
from data_pipelines.tables import batches, parquet_writer

FEW = 8
SPLITS = ("train", "validation")
FIGURES = ("few_shot", "with_options", "flagged", "characters")
CHOSEN_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("task", pa.string()),
        ("template", pa.string()),
        ("composes", pa.bool_()),
        ("place", pa.uint64()),
        ("split", pa.string()),
    ]
)
TEXT_SCHEMA = pa.schema([("text", pa.string())])
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One window of chosen rows, and where the finished one goes."""

    chosen: Path
    pool: Path
    params: MixParams
    examples: Path
    text: Path | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a window holds, by (mixture, task)."""

    examples: Counter[tuple[str, str]] = field(default_factory=Counter)
    few_shot: Counter[tuple[str, str]] = field(default_factory=Counter)
    with_options: Counter[tuple[str, str]] = field(default_factory=Counter)
    flagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    characters: Counter[tuple[str, str]] = field(default_factory=Counter)
    split: str


def run(params: MixParams, engine: EngineParams, workspace: Path) -> None:
    """Raises SourceError if nothing is left to mix."""
    with (
        new_folder(workspace / layout.MIXTURE) as out,
        tempfile.TemporaryDirectory(dir=out, prefix="scratch-") as folder,
    ):
        scratch = Path(folder)
        (out / "examples").mkdir()
        (out / "text").mkdir()
        with database(scratch, engine.memory_mb) as connection:
            available = _views(connection, workspace)
            if not any(available.values()):
                raise SourceError(
                    f"{workspace / layout.RECORDS} holds no example to train on: see "
                    f"{workspace / layout.CLEAN / 'report.json'} for what was taken out"
                )
            quota = quotas(
                available, params.shares, params.caps, params.examples, params.temperature
            )
            _choose(connection, quota, params, scratch / "chosen.parquet")
            _pool(connection, scratch / "pool.parquet")
            chosen = _windows(connection, params, scratch)
            if params.text == "files":
                _texts(connection, params, out / "text")
            write_json(out / "contamination.json", _contamination(connection, workspace))
        jobs = [
            Job(
                chosen=path,
                pool=scratch / "pool.parquet",
                params=params,
                examples=out / "examples" / path.name,
                text=out / "text" / path.name
                if params.text == "examples" and path.name.startswith("train")
                else None,
            )
            for path in chosen
        ]
        with open_engine(engine) as workers:
            outcomes = list(tqdm(workers.map(finish, jobs, few=FEW), desc="mix", total=len(jobs)))
        report = _report(available, outcomes, params)
        report["texts"] = sum(pq.read_metadata(p).num_rows for p in (out / "text").iterdir())
        write_json(out / "report.json", report)
        counted = {key: value for key, value in report.items() if key != "mixtures"}
        shares = {name: entry["share"] for name, entry in report["mixtures"].items()}
        write_json(out / "metrics.json", {**counted, "shares": shares})


def finish(job: Job) -> Outcome:
    """Writes one window of finished examples."""
    pool = load_pool(job.pool)
    outcome = Outcome(split=job.examples.name.split("-")[0])
    texts = parquet_writer(job.text, TEXT_SCHEMA) if job.text else nullcontext()
    with parquet_writer(job.examples, EXAMPLE_SCHEMA) as examples, texts as text:
        for batch in batches(job.chosen):
            finished = compose(batch, pool, job.params).select(EXAMPLE_SCHEMA.names)
            finished = finished.cast(EXAMPLE_SCHEMA)
            _count(finished, outcome)
            examples.write_table(finished)
            if text is not None:
                whole = pc.binary_join_element_wise(finished["inputs"], finished["targets"], " ")
                text.write_table(pa.table([whole], schema=TEXT_SCHEMA))
    return outcome


def _count(rows: pa.Table, outcome: Outcome) -> None:
    figures = pa.table(
        {
            "mixture": rows["mixture"],
            "task": rows["task"],
            "few_shot": pc.greater(rows["shots"], 0),
            "with_options": pc.is_valid(rows["options"]),
            "flagged": pc.greater(pc.list_value_length(rows["flags"]), 0),
            "characters": pc.add(pc.utf8_length(rows["inputs"]), pc.utf8_length(rows["targets"])),
        }
    )
    sums = figures.group_by(["mixture", "task"]).aggregate(
        [([], "count_all"), *((name, "sum") for name in FIGURES)]
    )
    for row in sums.to_pylist():
        key = (row["mixture"], row["task"])
        outcome.examples[key] += row["count_all"]
        for name in FIGURES:
            getattr(outcome, name)[key] += row[f"{name}_sum"]


def _views(connection: duckdb.DuckDBPyConnection, workspace: Path) -> Counts:
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


def _choose(
    connection: duckdb.DuckDBPyConnection, quota: Counts, params: MixParams, target: Path
) -> None:
    """View `chosen`: uid, task, template, composes, split, and `place`, the order by chance.

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
        SELECT k.mixture, k.task, k.uid, k.template, k.composes,
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


def _pool(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    connection.execute(
        f"""
        COPY (
            WITH few AS (
                SELECT uid, place FROM chosen WHERE split = 'train' AND composes
                QUALIFY {POOL} >=
                    row_number() OVER (PARTITION BY task, template ORDER BY place, uid)
            )
            SELECT r.uid, r.task, r.template, r.inputs, r.targets
            FROM few JOIN records r ON r.uid = few.uid ORDER BY few.place, few.uid
        ) TO {literal(target)} (FORMAT parquet)
        """
    )


def _windows(connection: duckdb.DuckDBPyConnection, params: MixParams, scratch: Path) -> list[Path]:
    """The chosen rows in their order, a file a window."""
    names = [name for name in EXAMPLE_SCHEMA.names if name != "split"]
    columns = ", ".join(f"k.{name}" for name in names)
    files: list[Path] = []
    for split in SPLITS:
        rows = connection.sql(
            f"""
            SELECT {columns}, c.split, k.composes FROM chosen c JOIN kept k ON k.uid = c.uid
            WHERE c.split = '{split}' ORDER BY c.place, c.uid
            """
        )
        files += _write_windows(rows, params.window, scratch, f"{split}-")
    return files


def _texts(connection: duckdb.DuckDBPyConnection, params: MixParams, target: Path) -> None:
    rows = connection.sql(
        f"SELECT inputs AS text FROM kept WHERE mixture = '{TEXT}' "
        f"ORDER BY md5_number_lower('{params.seed} order ' || uid), uid"
    )
    _write_windows(rows, params.window, target, "")


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


def _contamination(connection: duckdb.DuckDBPyConnection, workspace: Path) -> dict[str, Any]:
    """Suite -> how many items it has, and which of them a row of the mixture overlaps with."""
    totals = connection.execute(
        f"SELECT suite, count(*) FROM read_parquet({literal(workspace / layout.GUARD)}) "
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
        suite: {"items": total, "contaminated": 0, "tasks": {}} for suite, total in totals
    }
    for suite, task, item in overlapping:
        result[suite]["contaminated"] += 1
        result[suite]["tasks"].setdefault(task, []).append(item)
    return result


def _report(available: Counts, outcomes: list[Outcome], params: MixParams) -> dict[str, Any]:
    total = Outcome(split="all")
    for outcome in outcomes:
        for name in ("examples", *FIGURES):
            getattr(total, name).update(getattr(outcome, name))
    examples = total.examples.total()
    targets = target_shares(sorted(available), params.shares)
    mixtures: dict[str, Any] = {}
    for mixture, tasks in sorted(available.items()):
        taken = sum(total.examples[mixture, task] for task in tasks)
        mixtures[mixture] = {
            "examples": taken,
            "available": sum(tasks.values()),
            "share": round(taken / examples, 4) if examples else 0.0,
            "target_share": round(targets[mixture], 4),
            "tasks": {
                task: {
                    "examples": total.examples[mixture, task],
                    "available": tasks[task],
                    "few_shot": total.few_shot[mixture, task],
                    "with_options": total.with_options[mixture, task],
                    "flagged": total.flagged[mixture, task],
                    "characters": total.characters[mixture, task],
                }
                for task in sorted(tasks)
            },
        }
    validation = sum(o.examples.total() for o in outcomes if o.split == "validation")
    return {
        "examples": examples,
        "validation": validation,
        "few_shot": total.few_shot.total(),
        "flagged": total.flagged.total(),
        "mixtures": mixtures,
    }
