"""Evaluation suites: which tasks are scored, with which prompts; one YAML file each in suites/."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from data_pipelines.suggestions import did_you_mean
from models.errors import UnknownSuite

FOLDER = Path(__file__).with_name("suites")

RENAMED_FIELDS = {
    "answer": "answer_mode",
    "ask": "prompt_template",
    "averaged": "in_normalized_average",
    "expected": "num_tasks",
    "merged": "averaging_units",
    "preamble": "description",
    "shots": "num_fewshot",
}
"""Field name of earlier versions -> field name of today."""

TaskNames = list[str] | dict[str, list[str]] | Literal["all"]


class SuiteTask(NamedTuple):
    """A task that a suite names."""

    dataset: str
    """Folder of the task's file below data/eval_data."""
    file: str
    """Name of the task's file, without its ending."""
    group: str
    """Category that the suite lists the task under; empty without categories."""


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class Suite:
    """A named group of tasks that are prompted and scored alike."""

    name: str
    title: str
    answer_mode: Literal["direct", "cot"]
    """direct: the option with the highest log-probability, or free text for tasks without options.
    cot: free text with a chain of thought, from which the answer is extracted."""
    prompt_template: str
    """Prompt of one item. Placeholders: `{text}`, `{question}`, `{choices}`, `{definition}`."""
    tasks: dict[str, TaskNames]
    """Dataset -> its task files, as a list or by category; `all`: every file of the dataset."""
    num_fewshot: int = 0
    """Few-shot exemplars before the item."""
    exemplars: dict[str, str] = field(default_factory=dict)
    """Dataset -> DATASET/FILE of its exemplars; `{task}` stands for the task's file name. Exemplars
    that come from the scored file itself are not scored."""
    description: str = ""
    """Text before the exemplars, unless the exemplars' file brings one; `{subject}`: the task."""
    metric: Literal["accuracy", "exact_match", "rouge_l"] = "accuracy"
    """Metric whose mean is the task's score; exact_match is SQuAD's and also reports F1."""
    max_new_tokens: int = 32
    """Maximum number of generated tokens."""
    averaging_units: dict[str, list[str]] = field(default_factory=dict)
    """Unit -> the tasks that count as one in the suite's average, by their mean."""
    num_tasks: int | None = None
    """Number of tasks in the complete suite, where `tasks` does not list them."""
    in_normalized_average: bool = False
    """Whether the suite is part of the paper's normalised average (arXiv 2305.14705)."""

    def __post_init__(self) -> None:
        if self.num_fewshot and set(self.exemplars) != set(self.tasks):
            raise ValueError("num_fewshot needs exemplars for every dataset in tasks")
        members = {task for unit in self.averaging_units.values() for task in unit}
        unknown = members - {task.file for task in self.listed_tasks()}
        if unknown:
            raise ValueError(f"averaging_units: {sorted(unknown)[0]!r} is not among tasks")

    def listed_tasks(self) -> Iterator[SuiteTask]:
        """Yield every task that the suite lists by name."""
        for dataset, tasks in self.tasks.items():
            if isinstance(tasks, dict):
                for group, members in tasks.items():
                    yield from (SuiteTask(dataset, file, group) for file in members)
            elif isinstance(tasks, list):
                yield from (SuiteTask(dataset, file, "") for file in tasks)

    def task_name(self, dataset: str, file: str) -> str:
        """Return the task's name in records: SUITE/FILE, or SUITE/DATASET.

        The dataset's name is used where the suite has several datasets and this one has one file.
        """
        is_single_file = len(self.tasks) > 1 and len(self.tasks[dataset]) == 1
        return f"{self.name}/{dataset if is_single_file else file}"

    def averaging_unit(self, task_name: str) -> str:
        """Return the unit that a task belongs to in the suite's average; by default itself."""
        task = task_name.split("/", 1)[1]
        units = self.averaging_units.items()
        return next((unit for unit, members in units if task in members), task)


def suite_names() -> list[str]:
    """Return the names of all suites."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read a suite from its YAML file.

    Raises:
        UnknownSuite: no file has this name, or the file does not describe a suite.
    """
    path = FOLDER / f"{name}.yaml"
    known = suite_names()
    if name not in known:
        hint = did_you_mean(name, known)
        raise UnknownSuite(f"unknown suite {name!r}; {hint}Known: {', '.join(known)}")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        _check_field_names(fields, path)
        return Suite(name=name, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnknownSuite(f"{path}: {where}: {first['msg']}") from None
    except (TypeError, yaml.YAMLError) as error:
        raise UnknownSuite(f"{path} is not a suite: {' '.join(str(error).split())}") from None


def _check_field_names(fields: Any, path: Path) -> None:
    if not isinstance(fields, dict):
        raise UnknownSuite(f"{path} is not a suite; expected a mapping of fields to values")
    known = [field.name for field in dataclasses.fields(Suite) if field.name != "name"]
    for name in fields:
        if name in RENAMED_FIELDS:
            raise UnknownSuite(
                f"{path}: unknown field {name!r}; renamed to {RENAMED_FIELDS[name]!r}"
            )
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise UnknownSuite(f"{path}: unknown field {name!r}; {hint}Known: {', '.join(known)}")
