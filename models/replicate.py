"""Replicates: the models that a run of params.yaml trains, one for each seed of `models.seeds`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models import layout


@dataclass(frozen=True, order=True)
class Replicate:
    """A run with one of its seeds. Paths are relative to the workspace."""

    run: str
    seed: int

    @classmethod
    def from_label(cls, label: str) -> Replicate:
        """Return the replicate with a label, e.g. of `moe_base-1`."""
        run, _, seed = label.rpartition("-")
        return cls(run, int(seed))

    @property
    def label(self) -> str:
        """Name in messages, in DVC and in Prefect, e.g. `moe_base-1`; names of runs have no `-`."""
        return f"{self.run}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Results of training and evaluation."""
        return layout.RUNS / self.run / f"seed_{self.seed}"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def weights_hashes(self) -> Path:
        """File with the hashes of the weights, which runs that start from them depend on."""
        return layout.RUNS / self.run / "weights" / f"seed_{self.seed}.json"

    @property
    def initial_hashes(self) -> Path:
        """File with the hashes of the initial weights, which its training depends on."""
        return layout.RUNS / self.run / "initial" / f"seed_{self.seed}.json"

    @property
    def checkpoints(self) -> Path:
        return layout.CHECKPOINTS / self.label
