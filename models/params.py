"""Parameters of the models package: `models.*` in params.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.evaluation.params import EvaluationParams
from models.training.params import NAME, SCRATCH, RunParams, TrainingParams

VERSION = r"v\d+"
"""Form in which `flanmoe compare` reads registered versions."""


@dataclass(frozen=True, kw_only=True)
class ModelsParams:
    """Runs, and the settings of their training and evaluation."""

    runs: dict[str, RunParams]
    training: TrainingParams
    evaluation: EvaluationParams

    def __post_init__(self) -> None:
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
