"""A row of a raw data set in two views: its content, and the columns its publisher names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from data_pipelines.sources.part import BadRow


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """`columns` has the names and types of the data set on the Hugging Face hub, for which
    promptsource's templates are written; the rest is what this project's own templates use.
    """

    columns: dict[str, Any]
    question: str
    """What is asked, without a passage it is asked about."""
    answer: str
    context: str = ""
    options: tuple[str, ...] | None = None
    references: tuple[str, ...] = ()
    """Other accepted answers as well; empty: `answer` alone."""
    words: dict[str, str] = field(default_factory=dict)
    """Further texts that templates may name."""

    def __post_init__(self) -> None:
        if not self.references:
            object.__setattr__(self, "references", (self.answer,))


def choice(options: tuple[str, ...], index: Any) -> str:
    """The option that a label names. Raises BadRow."""
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(options):
        raise BadRow(f"label {index!r} names none of {len(options)} options")
    return options[index]


def number(text: Any, name: str) -> int:
    """A whole number, written or not. Raises BadRow."""
    try:
        return int(text)
    except (TypeError, ValueError):
        raise BadRow(f"{name} is {text!r}, not a whole number") from None
