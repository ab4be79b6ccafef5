"""Stage `mix`: choose by published rates, put worked examples in front, order by chance.

Writes data/mixture: examples/{train,validation}-*.parquet and text/*.parquet (pre-training), each
file one window of the whole; contamination.json (which evaluation items the mixture overlaps
with); report.json (every task), metrics.json (the shares, for DVC). Which rows are taken, how and
in which order depends on the seed and each row's uid alone.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from data_pipelines import layout
from data_pipelines.database import database
from data_pipelines.engine import open_engine
from data_pipelines.errors import SourceError
from data_pipelines.example import EXAMPLE_SCHEMA
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.mixing.few_shot import compose, load_pool
from data_pipelines.mixing.rates import quotas, target_shares
from data_pipelines.mixing.selection import (
    Counts,
    choose,
    chosen_windows,
    open_views,
    overlap,
    text_windows,
    write_pool,
)
from data_pipelines.params import EngineParams, MixParams
from data_pipelines.tables import batches, parquet_writer

FEW = 8
FIGURES = ("few_shot", "with_options", "flagged", "characters")
TEXT_SCHEMA = pa.schema([("text", pa.string())])


@dataclass(frozen=True, kw_only=True)
class MixTask:
    """One window of chosen rows, and where the finished one goes."""

    chosen: Path
    pool: Path
    params: MixParams
    examples: Path
    text: Path | None


@dataclass(frozen=True, kw_only=True)
class MixResult:
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
        scratch_folder(workspace / layout.MIXTURE) as scratch,
    ):
        (out / "examples").mkdir()
        (out / "text").mkdir()
        with database(scratch, engine.memory_mb) as connection:
            available = open_views(connection, workspace)
            if not any(available.values()):
                raise SourceError(
                    f"{workspace / layout.RECORDS} holds no example to train on: see "
                    f"{workspace / layout.CLEAN / 'report.json'} for what was taken out"
                )
            quota = quotas(
                available, params.shares, params.caps, params.num_examples, params.temperature
            )
            choose(connection, quota, params, scratch / "chosen.parquet")
            write_pool(connection, scratch / "pool.parquet")
            chosen = chosen_windows(connection, params, scratch)
            if params.text == "files":
                text_windows(connection, params, out / "text")
            write_json(out / "contamination.json", overlap(connection, workspace))
        jobs = [
            MixTask(
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
        report = _report(available, quota, outcomes, params)
        report["texts"] = sum(pq.read_metadata(p).num_rows for p in (out / "text").iterdir())
        write_json(out / "report.json", report)
        counted = {key: value for key, value in report.items() if key != "mixtures"}
        shares = {name: entry["share"] for name, entry in report["mixtures"].items()}
        write_json(out / "metrics.json", {**counted, "shares": shares})


def finish(job: MixTask) -> MixResult:
    """Writes one window of finished examples."""
    pool = load_pool(job.pool)
    outcome = MixResult(split=job.examples.name.split("-")[0])
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


def _count(rows: pa.Table, outcome: MixResult) -> None:
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


def _report(
    available: Counts, quota: Counts, outcomes: list[MixResult], params: MixParams
) -> dict[str, Any]:
    total = MixResult(split="all")
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
                    "target": quota[mixture][task],
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
