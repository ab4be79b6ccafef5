"""Evaluation items of data/eval_data, checked against the checksums of its index."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipelines.files import sha256
from models.errors import DataMismatch
from models.evaluation.suite import PUBLISHED_WITH_TASK, Suite, SuiteTask

TRAINING_SPLIT = "train"
"""Split that is never scored; its items only serve as few-shot exemplars."""


@dataclass(frozen=True, kw_only=True)
class TaskItem:
    """One item or few-shot exemplar: the fields that prompts and scores use."""

    id: str
    answer: str = ""
    text: str = ""
    """The question with its passage and options."""
    question: str = ""
    """The question without passage and options."""
    choices: str = ""
    """Labelled options on one line."""
    definition: str = ""
    """Instruction of the task."""
    exemplars: tuple[dict[str, str], ...] = ()
    """Few-shot exemplars `{text, answer}` that the file publishes with the task."""
    options: tuple[str, ...] = ()
    """Possible answers; empty where the answer is free text."""
    option_texts: tuple[str, ...] = ()
    """Texts of lettered options."""
    references: tuple[str, ...] = ()
    """Accepted answers, where there are several."""
    rationale: str = ""
    """Published chain of thought of an exemplar, the answer included."""
    preamble: str = ""
    """Published text before the exemplars."""
    group: str = ""
    """Category that the task is averaged in."""
    language: str = ""
    """ISO 639-1 code; empty if the data set has one language."""
    cluster: str = ""
    """Id that items of one passage, problem or family share; empty for an item of its own."""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> TaskItem:
        """Read one line of a task's file; fields that evaluation does not use are ignored."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in fields.items() if name in known}
        values["id"] = str(values["id"])
        for name in ("exemplars", "options", "option_texts", "references"):
            values[name] = tuple(values.get(name) or ())
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """One task file in data/eval_data/index.json."""

    file: str
    source_file: str
    """Path of the source file, relative to data/raw."""
    split: str
    """Split of the source file; empty if the catalog does not state it."""
    sha256: str
    num_items: int
    num_published: int | None
    """Number of items of the complete published file; None if the catalog does not state it."""
    truncated: bool
    """Whether the source file is known to hold only a part of the published one."""
    num_rejected: int
    """Rows of the source that are not valid items."""

    @property
    def partial_reason(self) -> str:
        """How the number of items differs from that of the published file; empty if it does not."""
        if self.num_published is None:
            return "a part of the published file" if self.truncated else ""
        if self.num_items == self.num_published:
            return ""
        return f"{self.num_items:,} of {self.num_published:,} items"


@dataclass(frozen=True, kw_only=True)
class EvalTask:
    """One task of a suite, with its items in the file's order."""

    name: str
    dataset: str
    file: str
    """Name of the task's file within the dataset."""
    group: str
    source_file: str
    """Path of the source file of the items, relative to data/raw."""
    split: str
    """Split of that file; empty if the catalog does not state it."""
    num_published: int | None
    """Number of items of the complete published file; None if the catalog does not state it."""
    items: list[TaskItem]
    exemplars: list[TaskItem]
    sha256: str
    """Digest of the files that items and exemplars come from."""
    partial_reason: str
    """Why some of the task's items are missing; empty for the complete task."""
    num_rejected: int
    """Rows of the source that are not valid items."""


@dataclass(frozen=True)
class EvalData:
    """The folder data/eval_data and its index."""

    folder: Path
    entries: dict[tuple[str, str], TaskFile]
    """(Dataset, file) -> its entry."""

    @classmethod
    def open(cls, folder: Path) -> EvalData:
        """Read the index of the folder.

        Raises:
            DataMismatch: there is no index, or an older version wrote it.
        """
        path = folder / "index.json"
        if not path.is_file():
            raise DataMismatch(f"{path} is missing; run `flanmoe eval_data`")
        try:
            entries = {
                (entry["suite"], entry["task"]): TaskFile(
                    file=entry["file"],
                    source_file=entry["source_file"],
                    split=entry["split"],
                    sha256=entry["sha256"],
                    num_items=entry["num_items"],
                    num_published=entry["num_published"],
                    truncated=entry["truncated"],
                    num_rejected=len(entry["rejected"]),
                )
                for entry in json.loads(path.read_text(encoding="utf-8"))
            }
        except (ValueError, KeyError, TypeError):
            raise DataMismatch(
                f"{path} is damaged or from an older version; run `flanmoe eval_data`"
            ) from None
        return cls(folder, entries)

    def load_tasks(
        self, suite: Suite, limit: int | None = None
    ) -> tuple[list[EvalTask], list[str]]:
        """Load the tasks of a suite that are present.

        Args:
            suite: the suite to load.
            limit: number of items of each task, chosen by the hash of their id; None: all.

        Returns:
            The tasks, and the names of those that are missing.

        Raises:
            DataMismatch: no task is present, or a file differs from the index.
        """
        tasks, missing = [], []
        for suite_task in [*suite.listed_tasks(), *self._unlisted_tasks(suite)]:
            if (suite_task.dataset, suite_task.file) in self.entries:
                tasks.append(self._load_task(suite, suite_task, limit))
            else:
                name = suite.task_name(suite_task.dataset, suite_task.file)
                missing.append(name.split("/", 1)[1])
        for dataset, splits in suite.splits.items():
            best = self._best_split(dataset, splits)
            if best is not None:
                tasks.append(self._load_task(suite, best, limit))
            else:
                missing.append(f"{dataset} {splits[0]} split")
        if not tasks:
            raise DataMismatch(
                f"suite {suite.name}: none of its files is in {self.folder}; name the source of "
                f"{', '.join(suite.tasks)} in data_pipelines.fetch.sources"
            )
        if suite.num_tasks is not None and len(tasks) < suite.num_tasks:
            missing.append(f"{suite.num_tasks - len(tasks)} tasks")
        return tasks, missing

    def _unlisted_tasks(self, suite: Suite) -> list[SuiteTask]:
        """Return the tasks of the datasets of which the suite takes every file."""
        return [
            SuiteTask(dataset, file, "")
            for suite_dataset, tasks in suite.tasks.items()
            if tasks == "all"
            for (dataset, file), entry in self.entries.items()
            if dataset == suite_dataset and entry.split != TRAINING_SPLIT
        ]

    def _best_split(self, dataset: str, splits: Sequence[str]) -> SuiteTask | None:
        """Return the task of the first of the splits that is present.

        Raises:
            DataMismatch: several files are of this split.
        """
        for split in splits:
            files = [
                file
                for (name, file), e in self.entries.items()
                if (name, e.split) == (dataset, split)
            ]
            if len(files) > 1:
                raise DataMismatch(
                    f"{self.folder / dataset}: {', '.join(files)} are all of the {split} split; "
                    "remove all but one from the sources"
                )
            if files:
                return SuiteTask(dataset, files[0], "")
        return None

    def _load_task(self, suite: Suite, suite_task: SuiteTask, limit: int | None) -> EvalTask:
        dataset, file, group = suite_task
        entry = self.entries[dataset, file]
        if entry.split == TRAINING_SPLIT:
            raise DataMismatch(
                f"suite {suite.name}: {dataset}/{file} is a training split ({entry.source_file}); "
                "name a test or dev split"
            )
        items, digest = self._load_items(entry), entry.sha256
        reasons = [entry.partial_reason] if entry.partial_reason else []
        exemplars: list[TaskItem] = []
        if suite.num_fewshot:
            exemplar_source, exemplars = self._load_exemplars(suite, dataset, file)
            digests = f"{digest} {self.entries[exemplar_source].sha256}"
            digest = hashlib.sha256(digests.encode()).hexdigest()
            if exemplar_source == (dataset, file):
                items = [item for item in items if item not in exemplars]
        if limit is not None and len(items) > limit:
            reasons = [f"{limit:,} of {entry.num_published or len(items):,} items"]
            selected = {item.id for item in sorted(items, key=_id_hash)[:limit]}
            items = [item for item in items if item.id in selected]
        best_split = suite.splits.get(dataset, (entry.split,))[0]
        if entry.split != best_split:
            reasons.append(f"the {entry.split} split, as the {best_split} split is missing")
        without_answer = [item.id for item in items if not item.answer.strip()]
        if without_answer:
            raise DataMismatch(
                f"{self.folder / entry.file}: item {without_answer[0]!r} has no answer "
                f"({len(without_answer)} in total); run `flanmoe eval_data`"
            )
        return EvalTask(
            name=suite.task_name(dataset, file),
            dataset=dataset,
            file=file,
            group=group or next((item.group for item in items if item.group), ""),
            source_file=entry.source_file,
            split=entry.split,
            num_published=entry.num_published,
            items=items,
            exemplars=exemplars,
            sha256=digest,
            partial_reason="; ".join(reasons),
            num_rejected=entry.num_rejected,
        )

    def _load_exemplars(
        self, suite: Suite, dataset: str, file: str
    ) -> tuple[tuple[str, str], list[TaskItem]]:
        """Return the (dataset, file) of a task's exemplars, and the exemplars."""
        template = suite.exemplars[dataset]
        location = template.removesuffix(PUBLISHED_WITH_TASK).format(task=file)
        exemplar_dataset, _, exemplar_file = location.partition("/")
        source = (exemplar_dataset, exemplar_file)
        if source not in self.entries:
            raise DataMismatch(
                f"suite {suite.name}: the few-shot exemplars {location} are not in {self.folder}; "
                "name their source in data_pipelines.fetch.sources"
            )
        exemplars = self._load_items(self.entries[source])
        if template.endswith(PUBLISHED_WITH_TASK):  # there may be none
            return source, _exemplars_of_task(exemplars[0], suite.num_fewshot)
        if suite.answer_mode == "cot":
            exemplars = [exemplar for exemplar in exemplars if exemplar.rationale]
        exemplars = exemplars[: suite.num_fewshot]
        if not exemplars:
            raise DataMismatch(
                f"suite {suite.name}: {location} has no few-shot exemplar; run `flanmoe eval_data`"
            )
        return source, exemplars

    def _load_items(self, entry: TaskFile) -> list[TaskItem]:
        path = self.folder / entry.file
        if not path.is_file() or sha256(path) != entry.sha256:
            raise DataMismatch(f"{path} is missing or changed; run `flanmoe eval_data`")
        with path.open(encoding="utf-8") as lines:
            items = [TaskItem.from_json(json.loads(line)) for line in lines]
        if not items:
            raise DataMismatch(f"{path} has no items; run `flanmoe eval_data`")
        return items


def _exemplars_of_task(item: TaskItem, num_fewshot: int) -> list[TaskItem]:
    """Return the exemplars that an item's file publishes with the task."""
    return [
        TaskItem(id=f"exemplar-{number}", text=exemplar["text"], answer=exemplar["answer"])
        for number, exemplar in enumerate(item.exemplars[:num_fewshot], start=1)
    ]


def _id_hash(item: TaskItem) -> str:
    return hashlib.sha256(item.id.encode()).hexdigest()
