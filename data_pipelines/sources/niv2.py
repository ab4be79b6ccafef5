"""Super-NaturalInstructions (NIV2): one JSON file per task.

Format (allenai/natural-instructions): `Definition` (list of str), `Positive Examples` and
`Negative Examples` (lists of `{input, output, explanation}`), `Instances` (list of
`{id, input, output}`). Some re-exports contain a string instead of a list of str; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, RejectedRow, stable_fraction, stable_hash
from data_pipelines.file_cache import cached_by_file
from data_pipelines.licences import join_licences
from data_pipelines.params import LicenceTerms, ReadParams
from data_pipelines.sources.part import InvalidRow, Part, convert_rows
from data_pipelines.templates.instructions import choose_template, template_group

LINES = False
NUM_EXEMPLARS = 2
"""Positive examples per prompt, as in the evaluation of Wang et al. (arXiv 2204.07705)."""


def load(part: Part, params: ReadParams) -> Iterator[Example | RejectedRow]:
    """Yield the examples of one task file; instances without input or output are rejected.

    Raises:
        SourceError: The file is not a task file, or the published split is missing.
    """
    task, definitions, instances = read_task(part)
    if not instances:
        yield part.reject(0, "the task has no instances", "")
    positive, negative = (
        parse_exemplars(task.get(f"{sign} Examples")) for sign in ("Positive", "Negative")
    )
    split = _split(part, params)
    templates = template_group("niv2")

    def convert(row: int, instance: Any) -> Example:
        text, outputs = parse_instance(instance)
        key = (params.seed, part.name, row)
        has_exemplars = stable_fraction("shots", *key) < params.niv2_examples_share
        exemplars = _format_exemplars(positive, negative, key) if has_exemplars else []
        form = "examples" if exemplars else "definition"
        name, template = choose_template(templates, form, key)
        definition = definitions[stable_hash("definition", *key) % len(definitions)]
        inputs, targets = template.fill(
            definition=definition, examples="\n\n".join(exemplars), input=text, output=outputs[0]
        )
        return Example(
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
            question=text,
            answer=outputs[0],
            num_exemplars=len(exemplars),
            allow_exemplars=False,
        )

    yield from convert_rows(part, enumerate(instances), convert)


def read_task(part: Part) -> tuple[dict[str, Any], list[str], list[Any]]:
    """Read a task file.

    Returns:
        The complete task, its definitions, and its instances.

    Raises:
        SourceError: The file is missing, not JSON, or not a task file.
    """
    task = part.read_json()
    definitions = non_empty_texts(task.get("Definition")) if isinstance(task, dict) else []
    instances = task.get("Instances") if isinstance(task, dict) else None
    if not definitions or not isinstance(instances, list):
        raise SourceError(f"{part.path} is not a NIV2 task: Definition or Instances is missing")
    return task, definitions, instances


def read_licence(part: Part) -> tuple[str, LicenceTerms]:
    """Return the licence of the task's data set (`Instance License`) and its terms.

    Raises:
        SourceError: The file is missing, not JSON, or not a task file.
    """
    task, _, _ = read_task(part)
    return join_licences(non_empty_texts(task.get("Instance License")))


def parse_instance(instance: Any) -> tuple[str, list[str]]:
    """Return the input and the accepted outputs of an instance.

    Raises:
        InvalidRow: The input or the output is missing or blank.
    """
    text = instance.get("input") if isinstance(instance, dict) else None
    outputs = non_empty_texts(instance.get("output")) if isinstance(instance, dict) else []
    if not isinstance(text, str) or not text.strip() or not outputs:
        raise InvalidRow("no input or no output")
    return text.strip(), outputs


def parse_exemplars(value: Any) -> list[dict[str, str]]:
    """Return `{input, output, explanation}` of the examples that have an input and an output."""
    exemplars = []
    for example in value if isinstance(value, list) else []:
        try:
            text, outputs = parse_instance(example)
        except InvalidRow:
            continue
        explanation = example.get("explanation")
        exemplars.append(
            {
                "input": text,
                "output": outputs[0],
                "explanation": explanation.strip() if isinstance(explanation, str) else "",
            }
        )
    return exemplars


def _format_exemplars(
    positive: list[dict[str, str]], negative: list[dict[str, str]], key: tuple[object, ...]
) -> list[str]:
    """Format the exemplars of one row.

    Half of the rows also have a negative example, and half of the rows have explanations.

    Args:
        positive: positive examples of the task; the first NUM_EXEMPLARS are used.
        negative: negative examples of the task; at most one is used.
        key: values that identify the row, seed included; hashed for both choices.
    """
    with_explanations = stable_hash("explained", *key) % 2 == 0
    chosen = [("Positive", example) for example in positive[:NUM_EXEMPLARS]]
    if stable_hash("negative", *key) % 2 == 0:
        chosen += [("Negative", example) for example in negative[:1]]
    blocks = []
    for number, (sign, example) in enumerate(chosen, start=1):
        lines = [
            f"{sign} Example {number} -",
            f"Input: {example['input']}",
            f"Output: {example['output']}",
        ]
        if with_explanations and example["explanation"]:
            lines.append(f"Explanation: {example['explanation']}")
        blocks.append("\n".join(lines))
    return blocks


def _split(part: Part, params: ReadParams) -> str:
    """Return `test` for a task of the published test list (held out), `train` for any other."""
    folder = part.options.get("splits")
    if params.niv2_split == "all" or not folder:
        return "train"
    return "test" if part.path.stem in read_test_tasks(part) else "train"


def read_test_tasks(part: Part) -> frozenset[str]:
    """Return the tasks of the published test split, from the folder that `splits` names.

    Raises:
        SourceError: The list is missing.
    """
    return _read_task_list(part.raw_folder / part.options["splits"] / "test_tasks.txt")


@cached_by_file(maxsize=8)
def _read_task_list(path: Path) -> frozenset[str]:
    if not path.is_file():
        raise SourceError(
            f"{path} (the published split of NIV2) is missing; run `flanmoe fetch`, or set "
            "data_pipelines.read.niv2_split: all"
        )
    return frozenset(path.read_text(encoding="utf-8").split())


def non_empty_texts(value: Any) -> list[str]:
    """Return the non-empty texts of a list; a single text counts as a list of itself."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [v.strip() for v in values if isinstance(v, str) and v.strip()]
