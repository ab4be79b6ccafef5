"""The training chain of weights: the runs that trained them, one after the other, and their costs.

It is stored beside the weights, so that a run that starts from them knows what they cost.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from models.training.params import SCRATCH


@dataclass(frozen=True, kw_only=True)
class ChainRun:
    """One run of a chain: its recipe and its own cost."""

    name: str
    preset: str
    data: str
    data_version: str
    tasks: list[str]
    """Task patterns of the run; empty: the full mixture."""
    steps: int
    seed: int
    global_batch_size: int
    training_flops: int
    """Of this run alone."""


@dataclass(frozen=True, kw_only=True)
class TrainingChain:
    """The origin of the first weights, and the runs since then, oldest first."""

    origin: str
    """`scratch` for random weights, else the SHA-256 of the imported weights."""
    runs: list[ChainRun]

    @property
    def training_flops(self) -> int | None:
        """FLOPs of all runs together; None if they began with imported weights."""
        if self.origin != SCRATCH:
            return None
        return sum(run.training_flops for run in self.runs)

    def append(self, run: ChainRun) -> TrainingChain:
        """Return the chain with one more run."""
        return dataclasses.replace(self, runs=[*self.runs, run])

    def to_dict(self) -> dict[str, Any]:
        """Return the values of a JSON file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainingChain:
        """Build a chain from `to_dict`'s form.

        Raises:
            KeyError: a key is missing.
            TypeError: a value has another form.
        """
        return cls(origin=str(data["origin"]), runs=[ChainRun(**run) for run in data["runs"]])
