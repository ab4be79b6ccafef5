"""A row of a raw data set in two forms: its content, and the columns of the published data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from data_pipelines.sources.part import InvalidRow


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """One example of a raw data set.

    `columns` has the names and types of the data set on the Hugging Face hub, which promptsource's
    templates refer to. This project's own templates use the other fields.
    """

    columns: dict[str, Any]
    question: str
    """The question without its context."""
    answer: str
    context: str = ""
    options: tuple[str, ...] | None = None
    references: tuple[str, ...] = ()
    """Accepted answers, `answer` among them; set to `(answer,)` if empty."""
    template_fields: dict[str, str] = field(default_factory=dict)
    """Further fields to which this project's templates may refer."""

    def __post_init__(self) -> None:
        if not self.references:
            object.__setattr__(self, "references", (self.answer,))


def option_at(options: tuple[str, ...], label: Any) -> str:
    """Return the option at index `label`.

    Raises:
        InvalidRow: The label is not an index of an option.
    """
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(options):
        raise InvalidRow(f"label {label!r} is not an index of {len(options)} options")
    return options[label]


def require_int(value: Any, field_name: str) -> int:
    """Return an integer, which may be written as text.

    Raises:
        InvalidRow: The value is not an integer.
    """
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InvalidRow(f"{field_name} is {value!r}, not an integer") from None


def mapping_at(record: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping at a key; empty if the value is anything else."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}
