"""Evaluation files in their published formats -> items of one form.

An item: `id`, `prompt`, `answer`, `options` (None where the answer is generated). Rows that cannot
be scored are refused, not guessed.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_pipelines.errors import SourceError
from data_pipelines.example import Refused
from data_pipelines.sources.text_files import read_json, read_lines, read_text

LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a benchmark."""

    id: str
    prompt: str
    answer: str
    options: tuple[str, ...] | None


def sample(path: Path) -> Iterator[Item | Refused]:
    """Held-out families of the generated sample: JSON lines that are items already."""
    for row, line in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(line)
            options = tuple(record["options"]) if record["options"] else None
            yield Item(
                id=record["id"], prompt=record["prompt"], answer=record["answer"], options=options
            )
        except (ValueError, KeyError, TypeError) as error:
            yield _refused(path, row, f"not an item: {error}", line)


def bbh(path: Path) -> Iterator[Item | Refused]:
    """BIG-Bench Hard: JSON `{examples: [{input, target}]}`, direct answers.

    Choices are the letters, or the dashed words, under `Options:`; a task with at most two
    different answers (yes/no, true/false) is a choice between them; any other is generated.
    """
    data = read_json(path)
    rows = data.get("examples") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SourceError(f"{path} is not a BBH task: it has no examples")
    answers = sorted({str(row.get("target")) for row in rows})
    for number, row in enumerate(rows):
        text, answer = row.get("input"), row.get("target")
        if not isinstance(text, str) or not isinstance(answer, str):
            yield _refused(path, number, "no input or no target", str(row))
            continue
        options: tuple[str, ...] | None = None
        if "\nOptions:\n" in text:
            listed = text.split("\nOptions:\n", 1)[1]
            letters = re.findall(r"^(\([A-Z]\))", listed, re.M)
            options = tuple(letters or re.findall(r"^- (.+?) *$", listed, re.M))
        elif len(answers) <= 2:
            options = tuple(answers)
        if options is not None and answer not in options:
            yield _refused(path, number, f"answer {answer!r} is none of the options", text)
            continue
        yield Item(id=f"{path.stem}-{number}", prompt=text, answer=answer, options=options)


def mmlu(path: Path) -> Iterator[Item | Refused]:
    """MMLU: headerless CSV `question, A, B, C, D, answer`; quoted cells may hold line breaks."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise SourceError(f"{path}, line {rows.line_num}: {error}; fetch it again") from None
        number += 1
        if len(row) != 6 or row[5] not in LETTERS:
            yield _refused(path, number, "not question, four options, answer letter", str(row))
            continue
        choices = "\n".join(f"({a}) {text}" for a, text in zip(LETTERS, row[1:5], strict=True))
        yield Item(
            id=f"{path.stem}-{number}",
            prompt=f"{row[0].strip()}\n{choices}\nAnswer:",
            answer=row[5],
            options=LETTERS,
        )


def gsm8k(path: Path) -> Iterator[Item | Refused]:
    """GSM8K: JSON lines `{question, answer}`; the number after `####` is the answer."""
    for number, line in enumerate(read_lines(path)):
        try:
            record = json.loads(line)
            question, solution = record["question"], record["answer"]
        except (ValueError, KeyError, TypeError) as error:
            yield _refused(path, number, f"not question and answer: {error}", line)
            continue
        answer = solution.rpartition("####")[2].strip().replace(",", "")
        if "####" not in solution or not re.fullmatch(r"-?\d+(\.\d+)?", answer):
            yield _refused(path, number, "no number after ####", line)
            continue
        yield Item(
            id=f"gsm8k-{number}",
            prompt=f"{question.strip()} Let's think step by step.",
            answer=answer,
            options=None,
        )


def _refused(path: Path, row: int, reason: str, raw: str) -> Refused:
    return Refused(source_file=path.name, source_row=row, reason=reason, raw=raw[:2000])


READERS: dict[str, tuple[str, Callable[[Path], Iterator[Item | Refused]]]] = {
    "sample": ("*.jsonl", sample),
    "bbh": ("*.json", bbh),
    "mmlu": ("*.csv", mmlu),
    "gsm8k": ("*.jsonl", gsm8k),
}
"""Suite -> the files of its folder in data/raw/benchmarks, and their reader."""
