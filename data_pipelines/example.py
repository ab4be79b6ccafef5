"""The Example contract: one instruction, its answer, and where both come from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a mixture. `references` are all accepted answers, `targets` the first."""

    mixture: str
    task: str
    template: str
    inputs: str
    targets: str
    references: tuple[str, ...]
    options: tuple[str, ...] | None
    source_file: str
    source_row: int
    split: str = "train"

    @property
    def uid(self) -> str:
        """Stable name of the row: the same for the same source row and template."""
        key = f"{self.task}\0{self.source_file}\0{self.source_row}\0{self.template}"
        return hashlib.sha256(key.encode()).hexdigest()[:20]

    def to_row(self) -> dict[str, Any]:
        return {"uid": self.uid, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A source row that a loader could not read, and why."""

    source_file: str
    source_row: int
    reason: str
    raw: str


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
    ]
)

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
