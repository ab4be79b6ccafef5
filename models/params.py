"""Parameters of the models package: `models.*` in params.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_pipelines.bounds import Seed
from models.evaluation.params import EvaluationParams
from models.replicate import Replicate
from models.training.params import NAME, SCRATCH, RunParams, TrainingParams

VERSION = r"v\d+"
"""Form in which `flanmoe compare` reads registered versions."""


@dataclass(frozen=True, kw_only=True)
class ModelsParams:
    """Runs, and the settings of their training and evaluation."""

    seeds: tuple[Seed, ...]
    """Seeds with which every run is trained: of random initial weights, data order and dropout.
    Runs of the same seed are compared in pairs; with several, comparisons include the variance
    between seeds. Shared by all runs, so that each pair is complete."""
    runs: dict[str, RunParams]
    training: TrainingParams
    evaluation: EvaluationParams

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ValueError("seeds: [] has no seed; write [0]")
        if not self.runs:
            raise ValueError(
                "runs: {} has no run; add one, e.g. base: {preset: tiny_dense, start: scratch}"
            )
        for name, run in self.runs.items():
            if name == SCRATCH or re.fullmatch(VERSION, name):
                meaning = "random weights" if name == SCRATCH else "a registered version"
                raise ValueError(f"runs: the name {name!r} means {meaning}; use another")
            if not re.fullmatch(NAME, name):
                raise ValueError(
                    f"runs: {name!r} is not a valid name; use up to 100 letters, digits and _"
                )
            if not re.fullmatch(NAME, run.start):
                raise ValueError(f"runs.{name}.start: {run.start!r} is not a valid name of a run")
            visited = {name}
            while run.start != SCRATCH and run.start in self.runs:
                if run.start in visited:
                    raise ValueError(f"runs.{name}.start: {run.start!r} leads back to itself")
                visited.add(run.start)
                run = self.runs[run.start]

    def replicates(self) -> list[Replicate]:
        """Return every run with each of its seeds."""
        return [Replicate(name, seed) for name in self.runs for seed in self.seeds]
