"""Super-NaturalInstructions: tasks of the official test split, as its own evaluation asks them."""

from __future__ import annotations

from collections.abc import Iterator

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.niv2 import SHOTS, listed, read_task, strings, worked
from data_pipelines.sources.part import Part

INSTANCES = 100
"""The first so many instances of a task are its evaluation (Wang et al., arXiv 2204.07705)."""


def niv2(part: Part) -> Iterator[EvalItem | RejectedRow]:
    """Definition and two positive examples before each instance; nothing of other tasks.

    With `splits` in the catalog only tasks of the published test list are read.
    """
    folder = part.options.get("splits")
    if folder and part.path.stem not in listed(part.raw / folder / "test_tasks.txt"):
        return
    task, definitions, instances = read_task(part)
    shown = [
        f"Positive Example {number} -\nInput: {example['input']}\nOutput: {example['output']}"
        for number, example in enumerate(worked(task.get("Positive Examples"))[:SHOTS], start=1)
    ]
    for row, instance in enumerate(instances[:INSTANCES]):
        text = instance.get("input") if isinstance(instance, dict) else None
        outputs = strings(instance.get("output")) if isinstance(instance, dict) else []
        if not isinstance(text, str) or not text.strip() or not outputs:
            yield part.refused(row, "no input or no output", instance)
            continue
        yield EvalItem(
            id=str(instance.get("id", f"{part.path.stem}-{row}")),
            text=text.strip(),
            answer=outputs[0],
            references=tuple(dict.fromkeys(outputs)),
            options=None,
            question=text.strip(),
            definition="\n\n".join([f"Definition: {definitions[0]}", *shown]),
            group=(strings(task.get("Categories")) or [""])[0],
        )
