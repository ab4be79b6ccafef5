"""The Example contract: one instruction, its answer, and where both come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

TEXT = "text"
"""The `mixture` of plain pre-training text: its rows are documents, not instructions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One source row, put into words by one template.

    `references` are all accepted answers, `targets` the first. `context`, `question` and `answer`
    are the bare content, without the template's words: duplicates and overlaps with evaluation
    suites are looked for in them. `shots` counts worked examples inside `inputs`; `allow_exemplars` says
    whether more may be put in front.
    """

    mixture: str
    task: str
    template: str
    inputs: str
    targets: str
    references: tuple[str, ...]
    options: tuple[str, ...] | None
    source_file: str
    source_row: int
    item: int = 0
    """Which of the examples that one source row holds."""
    split: str = "train"
    context: str = ""
    question: str
    answer: str
    shots: int = 0
    allow_exemplars: bool = True

    @property
    def uid(self) -> str:
        """Stable name of the row: the same for the same source row and template."""
        key = f"{self.task}\0{self.source_file}\0{self.source_row}\0{self.item}\0{self.template}"
        return hashlib.sha256(key.encode()).hexdigest()[:20]

    def to_row(self) -> dict[str, Any]:
        """As a row of RECORD_SCHEMA."""
        row: dict[str, Any] = {"uid": self.uid}
        return row | {name: getattr(self, name) for name in RECORD_SCHEMA.names[1:]}


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedRow:
    """A source row that a loader could not read, and why."""

    source_file: str
    source_row: int
    reason: str
    raw: str


RAW_CHARACTERS = 2000
"""How much of a refused row is kept."""


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
        ("shots", pa.int32()),
        # Why cleaning would drop the row, where it is told to keep and flag; else empty.
        ("flags", pa.list_(pa.string())),
    ]
)

RECORD_SCHEMA = pa.schema(
    [
        *[EXAMPLE_SCHEMA.field(name) for name in EXAMPLE_SCHEMA.names if name != "flags"],
        ("allow_exemplars", pa.bool_()),
        ("context", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)
"""What the stage `read` writes: every example there is, before any is chosen."""

QUARANTINE_SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


def stable_hash(*parts: object) -> int:
    """64-bit hash of the parts, the same in every process: the source of every choice."""
    key = "\0".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def stable_fraction(*parts: object) -> float:
    """`stable_hash` as a number in [0, 1)."""
    return stable_hash(*parts) / 2**64
