"""Parameters of the models room: `models.*` in params.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from models.evaluation.params import EvaluationParams
from models.training.params import NAME, SCRATCH, RunParams, TrainingParams


@dataclass(frozen=True, kw_only=True)
class ModelsParams:
    """Runs, how they are trained, how they are scored."""

    runs: dict[str, RunParams]
    training: TrainingParams = field(default_factory=TrainingParams)
    evaluation: EvaluationParams = field(default_factory=EvaluationParams)

    def __post_init__(self) -> None:
        for name, run in self.runs.items():
            if name == SCRATCH or not re.fullmatch(NAME, name):
                raise ValueError(f"runs.{name}: a run is named with letters, digits and _")
            if not re.fullmatch(NAME, run.start):
                raise ValueError(f"runs.{name}.start: {run.start!r} is no name of a run")
            seen = {name}
            while run.start != SCRATCH and run.start in self.runs:
                if run.start in seen:
                    raise ValueError(f"runs.{name}.start: {run.start!r} leads back to itself")
                seen.add(run.start)
                run = self.runs[run.start]
