"""The Example schema: a prompt, its accepted answers, and the source row of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

TEXT = "text"
"""The `mixture` of plain pre-training text: its rows are documents, not instructions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One source row, rendered by one template."""

    mixture: str
    task: str
    template: str
    inputs: str
    targets: str
    """The first of `references`; empty for plain text."""
    references: tuple[str, ...]
    """All accepted answers; empty for plain text."""
    options: tuple[str, ...] | None
    """Answer options, `targets` among them; None if the example has no options."""
    source_file: str
    source_row: int
    item: int = 0
    """Index of the example within its source row; a source row can hold several examples."""
    split: str = "train"
    context: str = ""
    """The passage without template text. Deduplication and the contamination check compare
    `context`, `question` and `answer`, not the rendered prompt."""
    question: str
    """The question without template text."""
    answer: str
    """The answer without template text."""
    num_exemplars: int = 0
    """Number of few-shot exemplars in `inputs`; 1 if `inputs` has an unknown number."""
    allow_exemplars: bool = True
    """Whether the stage `mix` may prepend few-shot exemplars."""

    @property
    def uid(self) -> str:
        """Stable identifier: equal for the same source row and template."""
        key = f"{self.task}\0{self.source_file}\0{self.source_row}\0{self.item}\0{self.template}"
        return hashlib.sha256(key.encode()).hexdigest()[:20]

    def to_row(self) -> dict[str, Any]:
        """Return the example as a row of RECORD_SCHEMA."""
        row: dict[str, Any] = {"uid": self.uid}
        return row | {name: getattr(self, name) for name in RECORD_SCHEMA.names[1:]}


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedRow:
    """A source row that a loader could not read, with the reason."""

    source_file: str
    source_row: int
    reason: str
    raw: str


RAW_CHARACTERS = 2000
"""Characters of a rejected row that the quarantine stores."""


EXAMPLE_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("mixture", pa.string()),
        ("task", pa.string()),
        ("template", pa.string()),
        ("split", pa.string()),
        ("inputs", pa.string()),
        ("targets", pa.string()),
        ("references", pa.list_(pa.string())),
        ("options", pa.list_(pa.string())),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("num_exemplars", pa.int32()),
        # uids of the examples that the stage `mix` prepended, in the order of the prompt.
        ("exemplars", pa.list_(pa.string())),
        # 0; n for the n-th repetition of a row that the mixture contains several times.
        ("repetition", pa.int32()),
        # Reasons for which cleaning flagged the row instead of dropping it; usually empty.
        ("flags", pa.list_(pa.string())),
    ]
)

TEXT_SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        *[
            EXAMPLE_SCHEMA.field(name)
            for name in ("uid", "mixture", "task", "template", "source_file", "source_row")
        ],
    ]
)
"""Schema of pre-training text: a document, and the row that it is from."""

MIXTURE_COLUMNS = ("exemplars", "repetition", "flags")
"""Columns of EXAMPLE_SCHEMA that only the mixture has."""

RECORD_SCHEMA = pa.schema(
    [
        *[field for field in EXAMPLE_SCHEMA if field.name not in MIXTURE_COLUMNS],
        ("allow_exemplars", pa.bool_()),
        ("context", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)
"""Schema of the output of the stage `read`: every example, before cleaning and sampling."""

QUARANTINE_SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


def stable_hash(*parts: object) -> int:
    """Return a 64-bit hash of the parts, equal in every process.

    The random choices for a row derive from this hash, so they do not depend on other rows.
    """
    key = "\0".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def stable_fraction(*parts: object) -> float:
    """Return `stable_hash` of the parts scaled to [0, 1)."""
    return stable_hash(*parts) / 2**64
