"""The benchmark items that the data room wrote: data/eval_data, checked against its index."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipelines.files import sha256
from models.errors import DataMismatch
from models.evaluation.suite import Suite


@dataclass(frozen=True, kw_only=True)
class EvalTask:
    """One task of a suite, with its items in the file's order."""

    name: str
    benchmark: str
    file: str
    """Its name within the benchmark."""
    group: str
    items: list[dict[str, Any]]
    exemplars: list[dict[str, Any]]
    sha256: str
    """Of the files that items and exemplars come from."""
    partial: str
    """Why this is not the whole task, or nothing."""
    refused: int
    """Rows of the source that could not be read as an item."""


@dataclass(frozen=True)
class EvalData:
    """data/eval_data, whose files must be those of its index."""

    folder: Path
    entries: dict[tuple[str, str], dict[str, Any]]

    @classmethod
    def open(cls, folder: Path) -> EvalData:
        """Raises DataMismatch where there is no index."""
        path = folder / "index.json"
        if not path.is_file():
            raise DataMismatch(f"{path} is missing; run `flanmoe eval_data`")
        index = json.loads(path.read_text(encoding="utf-8"))
        return cls(folder, {(entry["suite"], entry["task"]): entry for entry in index})

    def tasks(self, suite: Suite, limit: int | None = None) -> tuple[list[EvalTask], list[str]]:
        """The tasks of `suite` that are present, and the names of those that are missing.

        `limit` items of each, chosen by their hash. Raises DataMismatch if none is present, or if
        a file was altered.
        """
        wanted = list(suite.named())
        for benchmark, tasks in suite.tasks.items():
            if tasks == "all":
                wanted += [
                    (benchmark, task, "") for name, task in self.entries if name == benchmark
                ]
        found, missing = [], []
        for benchmark, task, group in wanted:
            if (benchmark, task) in self.entries:
                found.append(self._task(suite, benchmark, task, group, limit))
            else:
                missing.append(suite.label(benchmark, task).split("/", 1)[1])
        if not found:
            raise DataMismatch(
                f"suite {suite.name}: none of its files is in {self.folder}; name the source of "
                f"{', '.join(suite.tasks)} in data_pipelines.fetch.sources"
            )
        if suite.expected is not None and len(found) < suite.expected:
            missing.append(f"{suite.expected - len(found)} tasks")
        return found, missing

    def _task(self, suite: Suite, benchmark: str, task: str, group: str, limit: int | None) -> EvalTask:
        entry = self.entries[benchmark, task]
        items, digest = self._items(entry), str(entry["sha256"])
        partial = "a part of the published file" if entry["truncated"] else ""
        exemplars: list[dict[str, Any]] = []
        if suite.shots:
            where = suite.exemplars[benchmark].format(task=task)
            source, _, name = where.partition("/")
            if (source, name) not in self.entries:
                raise DataMismatch(
                    f"suite {suite.name}: the worked examples {where} are not in {self.folder}; "
                    "name their source in data_pipelines.fetch.sources"
                )
            worked = self._items(self.entries[source, name])
            if suite.answer == "cot":
                worked = [example for example in worked if example.get("rationale")]
            exemplars = worked[: suite.shots]
            if not exemplars:
                raise DataMismatch(f"suite {suite.name}: {where} holds no worked example")
            digest = hashlib.sha256(
                f"{digest} {self.entries[source, name]['sha256']}".encode()
            ).hexdigest()
            if (source, name) == (benchmark, task):
                items = [item for item in items if item not in exemplars]
        if limit is not None and len(items) > limit:
            kept = {item["id"] for item in sorted(items, key=_place)[:limit]}
            items = [item for item in items if item["id"] in kept]
            partial = f"{limit} items"
        unanswered = [item["id"] for item in items if not str(item.get("answer", "")).strip()]
        if unanswered:
            raise DataMismatch(
                f"{self.folder / entry['file']}: item {unanswered[0]!r} has no answer "
                f"({len(unanswered)} such); run `flanmoe eval_data`"
            )
        return EvalTask(
            name=suite.label(benchmark, task),
            benchmark=benchmark,
            file=task,
            group=group or next((item["group"] for item in items if item.get("group")), ""),
            items=items,
            exemplars=exemplars,
            sha256=digest,
            partial=partial,
            refused=len(entry["rejected"]),
        )

    def _items(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        file = self.folder / entry["file"]
        if not file.is_file() or sha256(file) != entry["sha256"]:
            raise DataMismatch(f"{file} is missing or changed; run `flanmoe eval_data`")
        with file.open(encoding="utf-8") as lines:
            items = [json.loads(line) for line in lines]
        if not items:
            raise DataMismatch(f"{file} holds no item; run `flanmoe eval_data`")
        return items


def _place(item: dict[str, Any]) -> str:
    return hashlib.sha256(str(item["id"]).encode()).hexdigest()
