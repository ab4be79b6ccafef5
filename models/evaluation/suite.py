"""Evaluation suites: which tasks are scored, with which prompts; one YAML file each in suites/."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError
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

TaskNames = list[str] | dict[str, list[str]] | Literal["all", "best split"]

PUBLISHED_WITH_TASK = "#exemplars"
"""End of a value of `Suite.exemplars`: the exemplars that the file publishes with its task."""


class SuiteTask(NamedTuple):
    """A task that a suite names."""

    dataset: str
    """Folder of the task's file below data/eval_data."""
    file: str
    """Name of the task's file, without its ending."""
    group: str
    """Category that the suite lists the task under; empty without categories."""


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class SuiteProtocol:
    """The published evaluation that a suite follows."""

    follows: str
    """What the suite follows: prompts, exemplars, metric."""
    source: str
    """Where it is published."""
    differences: tuple[str, ...] = ()
    """Where the suite differs from it."""


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class Suite:
    """A named group of tasks that are prompted and scored alike."""

    name: str
    title: str
    protocol: SuiteProtocol
    answer_mode: Literal["direct", "cot"]
    """direct: the answer alone. cot: free text with a chain of thought, from which the answer is
    extracted."""
    ranks_options: bool = True
    """Whether the answer of a direct task with options is the option with the highest
    log-probability; otherwise it is extracted from free text, as for tasks without options."""
    prompt_template: str
    """Prompt of one item. Placeholders: `{text}`, `{question}`, `{choices}` (`(A) one (B) two`),
    `{choice_lines}` (`A. one`, a line each)."""
    exemplar_template: str = ""
    """A few-shot exemplar with its answer; placeholders as in `prompt_template`, `{answer}` and
    `{number}`. Empty: `prompt_template` followed by the answer or the chain of thought."""
    tasks: dict[str, TaskNames]
    """Dataset -> its task files, as a list or by category; `all`: every file of the dataset;
    `best split`: the file of the first split in `splits` that is present."""
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Dataset -> the splits that may be scored, best first, for `best split`. A score on another
    than the first is partial."""
    num_fewshot: int = 0
    """Few-shot exemplars before the item."""
    exemplars: dict[str, str] = field(default_factory=dict)
    """Dataset -> DATASET/FILE of its exemplars; `{task}` stands for the task's file name. They are
    the file's items, which are then not scored; with `#exemplars` at the end, those that the file
    publishes with its task."""
    description: str = ""
    """Text before the exemplars, unless the exemplars' file brings one. Placeholders: `{subject}`,
    the task's name, and `{definition}`, the task's instruction."""
    metric: Literal["accuracy", "exact_match", "rouge_l"] = "accuracy"
    """Metric whose mean is the task's score; exact_match is SQuAD's and also reports F1."""
    max_new_tokens: int = 32
    """Maximum number of generated tokens; of T5's tokenizer if `t5_characters_per_token` is set."""
    t5_characters_per_token: float | None = Field(default=None, gt=0)
    """Characters of a token of T5's tokenizer (32,000 pieces) in the suite's exemplars, or in its
    references. For a tokenizer with shorter tokens, `max_new_tokens` grows in proportion."""
    averaging_units: dict[str, list[str]] = field(default_factory=dict)
    """Unit -> the tasks that count as one in the suite's average, by their mean."""
    num_tasks: int | None = None
    """Number of tasks in the complete suite, where `tasks` does not list them."""
    in_normalized_average: bool = False
    """Whether the suite is part of the paper's normalised average (arXiv 2305.14705)."""

    def __post_init__(self) -> None:
        if self.num_fewshot and set(self.exemplars) != set(self.tasks):
            raise ValueError("num_fewshot needs exemplars for every dataset in tasks")
        by_split = {dataset for dataset, tasks in self.tasks.items() if tasks == "best split"}
        if by_split != set(self.splits) or not all(self.splits.values()):
            raise ValueError(
                "splits needs a list for every dataset with `best split`, and no other"
            )
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

        The dataset's name is used for the best split of a dataset, and where the suite has several
        datasets and this one has one file.
        """
        tasks = self.tasks[dataset]
        is_single_file = tasks == "best split" or (len(self.tasks) > 1 and len(tasks) == 1)
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
        return Suite(name=name, **_read_fields(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnknownSuite(f"{path}: {where}: {first['msg']}") from None
    except (TypeError, yaml.YAMLError) as error:
        raise UnknownSuite(f"{path} is not a suite: {' '.join(str(error).split())}") from None


def _read_fields(path: Path) -> dict[str, Any]:
    """Return the fields of a suite file; those it does not have are of the suite that `base` names.

    Raises:
        UnknownSuite: the file is not a mapping of fields, or `base` names no suite, or one that has
            a base itself.
    """
    fields = _load_mapping(path)
    base = fields.pop("base", None)
    if base is None:
        return fields
    known = [name for name in suite_names() if name != path.stem]
    if base not in known:
        raise UnknownSuite(
            f"{path}: base: {base!r} is not a suite; {did_you_mean(str(base), known)}"
            f"known are {', '.join(known)}"
        )
    base_fields = _load_mapping(path.with_name(f"{base}.yaml"))
    if "base" in base_fields:
        raise UnknownSuite(
            f"{path}: base: {base!r} has a base itself; name {base_fields['base']!r}"
        )
    return base_fields | fields


def _load_mapping(path: Path) -> dict[str, Any]:
    """Return the content of a suite file, whose field names are checked."""
    fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(fields, dict):
        raise UnknownSuite(f"{path} is not a suite; expected a mapping of fields to values")
    known = ["base", *(field.name for field in dataclasses.fields(Suite) if field.name != "name")]
    for name in fields:
        if name in RENAMED_FIELDS:
            raise UnknownSuite(
                f"{path}: unknown field {name!r}; renamed to {RENAMED_FIELDS[name]!r}"
            )
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise UnknownSuite(
                f"{path}: unknown field {name!r}; {hint}known are {', '.join(known)}"
            )
    return fields
