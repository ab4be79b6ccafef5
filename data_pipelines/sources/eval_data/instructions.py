"""Super-NaturalInstructions: tasks of the official test split, formatted as in arXiv 2204.07705."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.niv2 import (
    NUM_EXEMPLARS,
    non_empty_texts,
    parse_exemplars,
    parse_instance,
    read_task,
    read_test_tasks,
)
from data_pipelines.sources.part import Part, convert_rows

NUM_INSTANCES = 100
"""A task is evaluated on its first 100 instances (Wang et al., arXiv 2204.07705)."""


def niv2(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read a task file: each instance with the definition and two positive examples.

    If the catalog names `splits`, only tasks of the published test list are read.

    Raises:
        SourceError: The file is not a task file, or the published split is missing.
    """
    if part.options.get("splits") and part.path.stem not in read_test_tasks(part):
        return
    task, definitions, instances = read_task(part)
    exemplars = [
        f"Positive Example {number} -\nInput: {example['input']}\nOutput: {example['output']}"
        for number, example in enumerate(
            parse_exemplars(task.get("Positive Examples"))[:NUM_EXEMPLARS], start=1
        )
    ]

    def convert(row: int, instance: Any) -> EvalItem:
        text, outputs = parse_instance(instance)
        return EvalItem(
            id=str(instance.get("id", f"{part.path.stem}-{row}")),
            text=text,
            answer=outputs[0],
            references=tuple(dict.fromkeys(outputs)),
            options=None,
            question=text,
            definition="\n\n".join([f"Definition: {definitions[0]}", *exemplars]),
            group=(non_empty_texts(task.get("Categories")) or [""])[0],
        )

    yield from convert_rows(part, enumerate(instances[:NUM_INSTANCES]), convert)
