"""Super-NaturalInstructions: one JSON file a task.

Format (allenai/natural-instructions): `Definition` (list of str), `Positive Examples` and
`Negative Examples` (lists of `{input, output, explanation}`), `Instances` (list of
`{id, input, output}`). Some re-exports hold a bare string where a list belongs; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, RejectedRow, stable_fraction, stable_hash
from data_pipelines.file_cache import cached_by_file
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.templates.instructions import choose, group

LINES = False
SHOTS = 2
"""Positive examples in front of a row, as in the benchmark's own evaluation."""


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Examples of one task file; an instance without input or output is refused.

    Raises SourceError for a file that is no task.
    """
    task, definitions, instances = read_task(part)
    if not instances:
        yield part.refused(0, "the task has no instances", "")
    positive, negative = (worked(task.get(f"{sign} Examples")) for sign in ("Positive", "Negative"))
    split = _split(part, params)
    templates = group("niv2")
    for row, instance in enumerate(instances):
        text = instance.get("input") if isinstance(instance, dict) else None
        outputs = strings(instance.get("output")) if isinstance(instance, dict) else []
        if not isinstance(text, str) or not text.strip() or not outputs:
            yield part.refused(row, "no input or no output", instance)
            continue
        key = (params.seed, part.name, row)
        with_examples = stable_fraction("shots", *key) < params.niv2_examples_share
        shown = _shown(positive, negative, key) if with_examples else []
        name, template = choose(templates, "examples" if shown else "definition", key)
        definition = definitions[stable_hash("definition", *key) % len(definitions)]
        inputs, targets = template.fill(
            definition=definition,
            examples="\n\n".join(shown),
            input=text.strip(),
            output=outputs[0],
        )
        yield Example(
            mixture=part.mixture,
            task=part.path.stem,
            template=name,
            inputs=inputs,
            targets=targets,
            references=tuple(outputs),
            options=None,
            source_file=part.name,
            source_row=row,
            split=split,
            question=text.strip(),
            answer=outputs[0],
            shots=len(shown),
            allow_exemplars=False,
        )


def read_task(part: Part) -> tuple[dict[str, Any], list[str], list[Any]]:
    """A task file, its definitions and its instances. Raises SourceError for another file."""
    task = part.json()
    definitions = strings(task.get("Definition")) if isinstance(task, dict) else []
    instances = task.get("Instances") if isinstance(task, dict) else None
    if not definitions or not isinstance(instances, list):
        raise SourceError(f"{part.path} is not a NIV2 task: it lacks Definition or Instances")
    return task, definitions, instances


def _shown(
    positive: list[dict[str, str]], negative: list[dict[str, str]], key: tuple[object, ...]
) -> list[str]:
    """Positive examples, for half of the rows a negative one after them, with explanations."""
    explained = stable_hash("explained", *key) % 2 == 0
    chosen = [("Positive", example) for example in positive[:SHOTS]]
    if stable_hash("negative", *key) % 2 == 0:
        chosen += [("Negative", example) for example in negative[:1]]
    blocks = []
    for number, (sign, example) in enumerate(chosen, start=1):
        lines = [
            f"{sign} Example {number} -",
            f"Input: {example['input']}",
            f"Output: {example['output']}",
        ]
        if explained and example["explanation"]:
            lines.append(f"Explanation: {example['explanation']}")
        blocks.append("\n".join(lines))
    return blocks


def worked(value: Any) -> list[dict[str, str]]:
    """The usable ones of a task's examples: `{input, output, explanation}`."""
    examples = value if isinstance(value, list) else []
    found = []
    for example in examples:
        if not isinstance(example, dict):
            continue
        text, outputs = example.get("input"), strings(example.get("output"))
        if isinstance(text, str) and text.strip() and outputs:
            explanation = example.get("explanation")
            found.append(
                {
                    "input": text.strip(),
                    "output": outputs[0],
                    "explanation": explanation.strip() if isinstance(explanation, str) else "",
                }
            )
    return found


def _split(part: Part, params: ReadParams) -> str:
    """`test` for a task of the published test list: held out from training."""
    folder = part.options.get("splits")
    if params.niv2_split == "all" or not folder:
        return "train"
    return "test" if part.path.stem in listed(part.raw / folder / "test_tasks.txt") else "train"


@cached_by_file(maxsize=8)
def listed(path: Path) -> frozenset[str]:
    """Task names of a split list. Raises SourceError where it is missing."""
    if not path.is_file():
        raise SourceError(
            f"{path} is missing: the published split of NIV2; fetch it, or set "
            "data_pipelines.read.niv2_split: all"
        )
    return frozenset(path.read_text(encoding="utf-8").split())


def strings(value: Any) -> list[str]:
    """The filled texts of a list, or a bare one as a list."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [v.strip() for v in values if isinstance(v, str) and v.strip()]
