"""Super-NaturalInstructions: tasks of the official test split, formatted as in arXiv 2204.07705."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.niv2 import (
    NUM_EXEMPLARS,
    non_empty_texts,
    parse_instance,
    read_task,
    read_test_tasks,
)
from data_pipelines.sources.part import Part, convert_rows

NUM_INSTANCES = 100
"""A task is evaluated on its first 100 instances (Wang et al., arXiv 2204.07705)."""


def niv2(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Read a task file: each instance with the definition and two positive examples.

    As in Tk-Instruct's data collator, a full stop is added to each definition, input and output of
    the prompt that does not end with a punctuation mark. References stay as published.

    If the catalog names `splits`, only tasks of the published test list are read.

    Raises:
        SourceError: The file is not a task file, or the published split is missing.
    """
    if part.options.get("splits") and part.path.stem not in read_test_tasks(part):
        return
    task, definitions, instances = read_task(part)
    positive = task.get("Positive Examples")
    exemplars = tuple(
        {
            "text": add_full_stop(_first_text(example.get("input"))),
            "answer": add_full_stop(_first_text(example.get("output"))),
        }
        for example in (positive if isinstance(positive, list) else [])[:NUM_EXEMPLARS]
        if isinstance(example, dict)
    )

    def convert(row: int, instance: Any) -> EvalItem:
        text, outputs = parse_instance(instance)
        return EvalItem(
            id=str(instance.get("id", f"{part.path.stem}-{row}")),
            text=add_full_stop(text),
            answer=outputs[0],
            references=tuple(dict.fromkeys(outputs)),
            options=None,
            question=text,
            definition=add_full_stop(f"Definition: {definitions[0]}"),
            exemplars=exemplars,
            group=_first_text(task.get("Categories")),
        )

    yield from convert_rows(part, enumerate(instances[:NUM_INSTANCES]), convert)


def add_full_stop(text: str) -> str:
    """Add a full stop to a text that does not end with an ASCII punctuation mark."""
    return text if text.endswith(tuple(string.punctuation)) else f"{text}."


def _first_text(value: Any) -> str:
    return next(iter(non_empty_texts(value)), "")
