"""Stage `mix`: sample examples at the published rates, prepend few-shot exemplars, shuffle.

Writes data/mixture: examples/{train,validation}-*.parquet and text/*.parquet (pre-training), one
file per shard; contamination.json, the evaluation items that overlap with the mixture;
self_test.json, the self-test of the contamination check; report.json, counts per task, and the
licences; metrics.json, the shares, for DVC. Selection, exemplars and order of the rows depend only
on the seed, each row's uid and the number of its repetition.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.database import open_database
from data_pipelines.engine import open_engine
from data_pipelines.errors import SourceError
from data_pipelines.example import EXAMPLE_SCHEMA, TEXT, TEXT_SCHEMA
from data_pipelines.files import new_folder, scratch_folder, write_json
from data_pipelines.licences import Licences, select_licences
from data_pipelines.mixing.few_shot import load_pool, prepend_exemplars
from data_pipelines.mixing.rates import compute_quotas, target_shares
from data_pipelines.mixing.selection import (
    Counts,
    count_contamination,
    open_views,
    select_examples,
    write_exemplar_pool,
    write_selected_shards,
    write_text_shards,
)
from data_pipelines.params import EngineParams, MixParams
from data_pipelines.progress import progress_bar
from data_pipelines.report.self_test import run_self_test
from data_pipelines.tables import open_parquet_writer, read_batches

MIN_PARALLEL_TASKS = 9
"""Starting worker processes takes longer than mixing fewer shards in one process."""
SUMMED_FIELDS = ("few_shot", "with_options", "repeated", "flagged", "characters")


@dataclass(frozen=True, kw_only=True)
class MixTask:
    """One shard of selected rows, and the files to which its finished examples are written."""

    selected: Path
    pool: Path
    params: MixParams
    examples: Path
    text: Path | None
    """File for the examples as pre-training text; None if it is not to be written."""


@dataclass(frozen=True, kw_only=True)
class MixResult:
    """Counts of one shard by (mixture, task)."""

    split: str
    examples: Counter[tuple[str, str]] = field(default_factory=Counter)
    few_shot: Counter[tuple[str, str]] = field(default_factory=Counter)
    with_options: Counter[tuple[str, str]] = field(default_factory=Counter)
    repeated: Counter[tuple[str, str]] = field(default_factory=Counter)
    flagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    characters: Counter[tuple[str, str]] = field(default_factory=Counter)


def run(params: MixParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/mixture; without training sources, an empty one.

    Raises:
        SourceError: no training example remains after cleaning.
        DataError: a worker died repeatedly.
    """
    with (
        new_folder(workspace / layout.MIXTURE) as out,
        scratch_folder(workspace / layout.MIXTURE) as scratch,
    ):
        (out / "examples").mkdir()
        (out / "text").mkdir()
        with open_database(scratch, engine.memory_mb) as connection:
            available = open_views(connection, workspace)
            has_records = connection.execute("SELECT 1 FROM records LIMIT 1").fetchall()
            if has_records and not any(available.values()):
                raise SourceError(
                    f"{workspace / layout.RECORDS} contains no example to train on; see "
                    f"{workspace / layout.CLEAN / 'report.json'} for the rows that cleaning removed"
                )
            quotas = compute_quotas(
                available, params.shares, params.caps, params.num_examples, params.temperature
            )
            selected = scratch / "selected.parquet"
            select_examples(connection, available, quotas, params, selected)
            write_exemplar_pool(connection, scratch / "pool.parquet")
            shards = write_selected_shards(connection, params, scratch)
            if params.text == "files":
                write_text_shards(connection, params, out / "text")
            write_json(out / "contamination.json", count_contamination(connection, workspace))
        tasks = [
            MixTask(
                selected=path,
                pool=scratch / "pool.parquet",
                params=params,
                examples=out / "examples" / path.name,
                text=out / "text" / path.name
                if params.text == "examples" and path.name.startswith("train")
                else None,
            )
            for path in shards
        ]
        with open_engine(engine) as workers:
            mixed = workers.map(mix_shard, tasks, min_parallel_tasks=MIN_PARALLEL_TASKS)
            results = list(progress_bar(mixed, desc="mix", total=len(tasks)))
        write_json(out / layout.SELF_TEST, run_self_test(workspace, out).to_dict())
        report = _make_report(available, quotas, results, params)
        report["texts"] = sum(pq.read_metadata(p).num_rows for p in (out / "text").iterdir())
        write_json(out / "report.json", report | _collect_licences(report, params, workspace))
        metrics = {key: value for key, value in report.items() if key != "mixtures"}
        shares = {name: entry["share"] for name, entry in report["mixtures"].items()}
        write_json(out / "metrics.json", {**metrics, "shares": shares})


def mix_shard(task: MixTask) -> MixResult:
    """Prepend exemplars to the rows of one shard, write the shard, and return its counts."""
    pool = load_pool(task.pool)
    result = MixResult(split=task.examples.name.split("-")[0])
    texts = open_parquet_writer(task.text, TEXT_SCHEMA) if task.text else nullcontext()
    with open_parquet_writer(task.examples, EXAMPLE_SCHEMA) as examples, texts as text:
        for batch in read_batches(task.selected):
            rows = prepend_exemplars(batch, pool, task.params).select(EXAMPLE_SCHEMA.names)
            rows = rows.cast(EXAMPLE_SCHEMA)
            _add_counts(rows, result)
            examples.write_table(rows)
            if text is not None:
                rows = rows.filter(pc.equal(rows["repetition"], 0))
                documents = pc.binary_join_element_wise(rows["inputs"], rows["targets"], " ")
                origin = [rows[name] for name in TEXT_SCHEMA.names[1:]]
                text.write_table(pa.table([documents, *origin], schema=TEXT_SCHEMA))
    return result


def _add_counts(rows: pa.Table, result: MixResult) -> None:
    table = pa.table(
        {
            "mixture": rows["mixture"],
            "task": rows["task"],
            "few_shot": pc.greater(rows["num_exemplars"], 0),
            "with_options": pc.is_valid(rows["options"]),
            "repeated": pc.greater(rows["repetition"], 0),
            "flagged": pc.greater(pc.list_value_length(rows["flags"]), 0),
            "characters": pc.add(pc.utf8_length(rows["inputs"]), pc.utf8_length(rows["targets"])),
        }
    )
    sums = table.group_by(["mixture", "task"]).aggregate(
        [([], "count_all"), *((name, "sum") for name in SUMMED_FIELDS)]
    )
    for row in sums.to_pylist():
        key = (row["mixture"], row["task"])
        result.examples[key] += row["count_all"]
        for name in SUMMED_FIELDS:
            getattr(result, name)[key] += row[f"{name}_sum"]


def _collect_licences(
    report: dict[str, Any], params: MixParams, workspace: Path
) -> dict[str, Licences]:
    """Return the licences of the examples and of the plain text of the mixture."""
    path = workspace / layout.RECORDS / "report.json"
    records = json.loads(path.read_text(encoding="utf-8"))["tasks"]
    examples = select_licences(
        entry
        for entry in records
        if entry["split"] == "train"
        and report["mixtures"].get(entry["mixture"], {"tasks": {}})["tasks"]
        .get(entry["task"], {"examples": 0})["examples"]
    )  # fmt: skip
    texts = examples
    if params.text == "files":
        texts = select_licences(entry for entry in records if entry["mixture"] == TEXT)
    return {"licences": examples, "text_licences": texts if report["texts"] else []}


def _make_report(
    available: Counts, quotas: Counts, results: list[MixResult], params: MixParams
) -> dict[str, Any]:
    total = MixResult(split="all")
    for result in results:
        for name in ("examples", *SUMMED_FIELDS):
            getattr(total, name).update(getattr(result, name))
    num_examples = total.examples.total()
    targets = target_shares(sorted(available), params.shares)
    mixtures: dict[str, Any] = {}
    for mixture, tasks in sorted(available.items()):
        num_mixture = sum(total.examples[mixture, task] for task in tasks)
        mixtures[mixture] = {
            "examples": num_mixture,
            "available": sum(tasks.values()),
            "share": round(num_mixture / num_examples, 4) if num_examples else 0.0,
            "target_share": round(targets[mixture], 4),
            "tasks": {
                task: {
                    "examples": total.examples[mixture, task],
                    "target": quotas[mixture][task],
                    "available": tasks[task],
                    "few_shot": total.few_shot[mixture, task],
                    "with_options": total.with_options[mixture, task],
                    "repeated": total.repeated[mixture, task],
                    "flagged": total.flagged[mixture, task],
                    "characters": total.characters[mixture, task],
                }
                for task in sorted(tasks)
            },
        }
    validation = sum(r.examples.total() for r in results if r.split == "validation")
    return {
        "examples": num_examples,
        "validation": validation,
        "few_shot": total.few_shot.total(),
        "repeated": total.repeated.total(),
        "flagged": total.flagged.total(),
        "mixtures": mixtures,
    }
