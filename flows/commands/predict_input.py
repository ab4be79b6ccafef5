"""Instructions to answer: one, or a line each from stdin, as text or as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.errors import FlowError

OUTPUT_FIELDS = (
    "answer", "num_tokens", "finished", "truncated", "model", "version", "seconds", "experts",
)  # fmt: skip
"""Fields that the output adds to those of the input."""


@dataclass(frozen=True, kw_only=True)
class InstructionInput:
    """An instruction, and the further fields of its JSON object."""

    instruction: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def parse_instruction(text: str, where: str = "INSTRUCTION") -> InstructionInput:
    """Check an instruction.

    Raises:
        FlowError: it is empty, or contains an unpaired surrogate, which no tokenizer encodes.
    """
    if not text.strip():
        raise FlowError(f"{where}: expected a text, got an empty one")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FlowError(f"{where}: the text has an unpaired surrogate; expected Unicode") from None
    return InstructionInput(instruction=text)


def is_json(data: bytes) -> bool:
    """Return whether the lines of stdin are JSON objects."""
    return data.lstrip().startswith(b"{")


def parse_lines(data: bytes) -> list[InstructionInput]:
    """Parse the lines of stdin: JSON objects if the first line begins with `{`, otherwise texts.

    Args:
        data: the bytes of stdin.

    Raises:
        FlowError: there is no line, or one is empty, not UTF-8, or not an object with an
            instruction; the text names the line.
    """
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    if not lines:
        raise FlowError(
            "INSTRUCTION: missing; expected an argument, or one instruction a line on stdin"
        )
    parse = _parse_object if is_json(data) else parse_instruction
    return [
        parse(_decode(line, f"stdin: line {number}"), f"stdin: line {number}")
        for number, line in enumerate(lines, start=1)
    ]


def _decode(line: bytes, where: str) -> str:
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise FlowError(f"{where} is not UTF-8; convert the file") from None


def _parse_object(text: str, where: str) -> InstructionInput:
    expected = 'expected an object such as {"instruction": "…"}, as in line 1'
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise FlowError(f"{where} is not JSON; {expected}") from None
    if not isinstance(value, dict) or not isinstance(value.get("instruction"), str):
        raise FlowError(f"{where} has no text `instruction`; {expected}")
    for name in OUTPUT_FIELDS:
        if name in value:
            raise FlowError(f"{where}: field {name!r} is one of the output; rename it")
    return InstructionInput(
        instruction=parse_instruction(value["instruction"], where).instruction,
        fields={name: entry for name, entry in value.items() if name != "instruction"},
    )
