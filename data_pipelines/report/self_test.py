"""Self-test of the contamination check on planted overlaps, for the mixture at hand.

Evaluation items are planted in rows of the mixture, by code that shares nothing with the matcher.
The rows go through the worker function of the stage `clean`. Recall is the share of the plants that
are matched with their own item; precision is the share of plants among all rows that are matched,
rows with boilerplate only included.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines import layout
from data_pipelines.cleaning.scan import COLUMNS, ScanTask, scan_records
from data_pipelines.errors import DataError
from data_pipelines.params import CleanParams
from data_pipelines.report.plants import Host, Item, Plant, make_plants
from data_pipelines.sources.eval_data.item import TRAINING_SPLIT
from data_pipelines.stage_outputs import read_stage_json

NUM_HOSTS = 2000
NUM_MISSES = 10
"""Number of missed plants and of false matches that the result lists."""


@dataclass(frozen=True, kw_only=True)
class KindResult:
    """Plants of one kind, and how many were matched."""

    num_rows: int
    num_matched: int
    is_verbatim: bool

    @property
    def recall(self) -> float:
        """Share of the plants that were matched."""
        return self.num_matched / self.num_rows


@dataclass(frozen=True, kw_only=True)
class SelfTestResult:
    """Result of the self-test."""

    kinds: dict[str, KindResult]
    """By kind of plant."""
    boilerplate: dict[str, KindResult]
    """By kind of row that overlaps with no item."""
    misses: list[str]
    """Some plants without a match, and some matches of boilerplate."""

    @property
    def min_recall(self) -> float:
        """Smallest recall of a kind whose plants are verbatim."""
        return min((kind.recall for kind in self.kinds.values() if kind.is_verbatim), default=0.0)

    @property
    def precision(self) -> float:
        """Share of plants among the matched rows."""
        right = sum(kind.num_matched for kind in self.kinds.values())
        wrong = sum(kind.num_matched for kind in self.boilerplate.values())
        return right / (right + wrong) if right else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the content of self_test.json."""
        return {"min_recall": self.min_recall, "precision": self.precision, **asdict(self)}


def run_self_test(workspace: Path, mixture: Path | None = None, seed: int = 0) -> SelfTestResult:
    """Plant evaluation items in rows of the mixture, and count those that the check finds.

    Args:
        workspace: folder that contains data/.
        mixture: folder of the mixture; None for data/mixture.
        seed: seed of the plants.

    Raises:
        DataError: a stage has not run.
    """
    mixture = mixture or workspace / layout.MIXTURE
    params = read_stage_json(workspace / layout.CLEAN / "report.json", "clean").get("params")
    if params is None:
        raise DataError(
            f"{workspace / layout.CLEAN / 'report.json'}: field 'params' is missing; "
            "run `flanmoe clean`"
        )
    suites = read_stage_json(mixture / "contamination.json", "mix")
    items, hosts = _read_items(workspace, suites), _read_hosts(mixture)
    plants = list(make_plants(items, hosts, seed))
    matches = _match(plants, CleanParams(**params), workspace / layout.EVAL_ITEMS)
    return _count(plants, matches)


def _read_items(workspace: Path, suites: dict[str, Any]) -> list[Item]:
    """Read every scored item of the suites from the files that are evaluated."""
    index = read_stage_json(workspace / layout.EVAL_DATA / "index.json", "eval_data")
    items = []
    for entry in index:
        if entry["suite"] in suites and entry["split"] != TRAINING_SPLIT:
            with (workspace / layout.EVAL_DATA / entry["file"]).open(encoding="utf-8") as file:
                items += [
                    {**json.loads(line), "suite": entry["suite"], "task": entry["task"]}
                    for line in file
                ]
    return items


def _read_hosts(mixture: Path) -> list[Host]:
    """Read the first rows of the mixture, which are in random order, without flagged rows.

    If all rows are flagged, items are planted in an empty row.
    """
    hosts: list[Host] = []
    for path in sorted((mixture / "examples").glob("train-*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(NUM_HOSTS, columns=["inputs", "targets", "flags"]):
                hosts += [
                    (row["inputs"], row["targets"]) for row in batch.to_pylist() if not row["flags"]
                ]
                if len(hosts) >= NUM_HOSTS:
                    return hosts[:NUM_HOSTS]
    return hosts or [("", "")]


def _match(
    plants: list[Plant], params: CleanParams, eval_items: Path
) -> dict[int, set[tuple[str, str, str]]]:
    """Return the suite, task and id of the matched items by index of the plant."""
    columns: dict[str, list[str]] = {name: [""] * len(plants) for name in COLUMNS}
    columns["uid"] = [str(number) for number in range(len(plants))]
    columns["split"] = ["train"] * len(plants)
    for name in ("inputs", "targets"):
        columns[name] = [getattr(plant, name) for plant in plants]
    matches: dict[int, set[tuple[str, str, str]]] = {}
    with tempfile.TemporaryDirectory(prefix="flanmoe-self-test-") as folder:
        task = ScanTask(
            records=Path(folder) / "records.parquet",
            eval_items=eval_items,
            params=params,
            signatures=Path(folder) / "signatures.parquet",
            matches=Path(folder) / "matches.parquet",
        )
        pq.write_table(pa.table(columns), task.records)
        scan_records(task)
        for row in pq.read_table(task.matches).to_pylist():
            key = (row["suite"], row["suite_task"], row["item"])
            matches.setdefault(int(row["uid"]), set()).add(key)
    return matches


def _count(plants: list[Plant], matches: dict[int, set[tuple[str, str, str]]]) -> SelfTestResult:
    num_rows: Counter[str] = Counter()
    num_matched: Counter[str] = Counter()
    misses: list[str] = []
    by_kind = {plant.kind: plant for plant in plants}
    for number, plant in enumerate(plants):
        num_rows[plant.kind] += 1
        matched = matches.get(number, set())
        item = plant.item
        key = (item["suite"], item["task"], item["id"]) if item else None
        is_matched = key in matched if key else bool(matched)
        num_matched[plant.kind] += is_matched
        if plant.is_verbatim and is_matched == (key is None):
            misses.append(f"{plant.kind}: {'/'.join(key or min(matched))}")
    results = {
        kind: KindResult(
            num_rows=num_rows[kind],
            num_matched=num_matched[kind],
            is_verbatim=plant.is_verbatim and plant.item is not None,
        )
        for kind, plant in by_kind.items()
    }
    return SelfTestResult(
        kinds={kind: r for kind, r in results.items() if by_kind[kind].item is not None},
        boilerplate={kind: r for kind, r in results.items() if by_kind[kind].item is None},
        misses=misses[:NUM_MISSES],
    )
