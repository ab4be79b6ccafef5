"""Suites: which tasks, how they are asked and scored. One YAML file each, in suites/."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from models.errors import UnknownSuite

FOLDER = Path(__file__).with_name("suites")

Tasks = list[str] | dict[str, list[str]] | Literal["all"]


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class Suite:
    """A named group of tasks with one protocol."""

    name: str
    title: str
    answer: Literal["direct", "cot"]
    """direct: the most probable option, or free text where a task has none. cot: free text, from
    which the answer is extracted."""
    ask: str
    """How an item is asked. `{text}`, `{question}`, `{choices}`, `{definition}`: its fields."""
    tasks: dict[str, Tasks]
    """Benchmark -> its tasks, plain or by category; `all`: every task there is."""
    shots: int = 0
    """Worked examples before the question."""
    exemplars: dict[str, str] = field(default_factory=dict)
    """Benchmark -> where its worked examples lie; `{task}` stands for the task. Examples out of
    the scored file itself are not scored."""
    preamble: str = ""
    """What is said before the examples, where their file says nothing; `{subject}`: the task."""
    metric: Literal["accuracy", "exact_match", "rouge_l"] = "accuracy"
    """What a task's score is the mean of; exact_match is SQuAD's, with F1 beside it."""
    max_new_tokens: int = 32
    """Longest answer."""
    merged: dict[str, list[str]] = field(default_factory=dict)
    """Tasks that count once in the average, as the mean of these."""
    expected: int | None = None
    """Number of tasks when all are there, where `tasks` does not name them."""
    averaged: bool = False
    """Part of the paper's normalised average (arXiv 2305.14705)."""

    def __post_init__(self) -> None:
        if self.shots and set(self.exemplars) != set(self.tasks):
            raise ValueError("with shots, exemplars must be given for each benchmark of tasks")
        names = {task for members in self.merged.values() for task in members}
        unknown = names - {task for _, task, _ in self.named()}
        if unknown:
            raise ValueError(f"merged names {sorted(unknown)[0]!r}, which is not among tasks")

    def named(self) -> Iterator[tuple[str, str, str]]:
        """(benchmark, task, category) of every task that is named."""
        for benchmark, tasks in self.tasks.items():
            if isinstance(tasks, dict):
                for group, members in tasks.items():
                    yield from ((benchmark, task, group) for task in members)
            elif isinstance(tasks, list):
                yield from ((benchmark, task, "") for task in tasks)

    def label(self, benchmark: str, task: str) -> str:
        """The task's name in records: a benchmark with one file here goes by its own name."""
        alone = len(self.tasks) > 1 and len(self.tasks[benchmark]) == 1
        return f"{self.name}/{benchmark if alone else task}"

    def unit(self, label: str) -> str:
        """What a task counts as in the average: itself, or what it is merged into."""
        task = label.split("/", 1)[1]
        return next((name for name, members in self.merged.items() if task in members), task)


def names() -> list[str]:
    """Every suite there is."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Suite:
    """Raises UnknownSuite for a name without a file, or a file that is not a suite."""
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownSuite(f"no suite is called {name!r}; {hint}Known: {', '.join(names())}")
    try:
        return Suite(name=name, **yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnknownSuite(f"{path}: {where}: {first['msg']}") from None
    except (TypeError, yaml.YAMLError) as error:
        raise UnknownSuite(f"{path} is not a suite: {' '.join(str(error).split())}") from None
