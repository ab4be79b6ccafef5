"""Parameters of the models room: `models.*` in params.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from models.evaluation.params import EvaluationParams
from models.training.params import TrainingParams

SCRATCH = "scratch"
NAME = "[A-Za-z0-9_]+"


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """One trained model (`models.runs.NAME`)."""

    preset: str
    """Architecture: a name from `flanmoe models`."""
    start: str
    """`scratch` for random weights; the run whose weights this one continues from; or another
    folder `runs/NAME` with weights in it, e.g. imported ones. A dense model's weights become an MoE
    preset's by sparse upcycling. Always written out: dvc.yaml reads it to know which run needs
    which."""
    data: str = "train"
    """`pretrain` (plain text) or `train` (instructions)."""
    tasks: tuple[str, ...] = ()
    """Only examples of these tasks, names or patterns such as `cot_*`: fine-tuning on a task.
    Empty: the whole mixture."""
    steps: int = 1000
    """Optimizer steps; 0 takes the start's weights as they are, to evaluate them."""
    seed: int = 0
    """Weights, order of the data, dropout."""
    tuned: bool = True
    """Whether this is an instruction-tuned model; comparisons show it."""
    training: dict[str, Any] = field(default_factory=dict)
    """What is other than in `models.training` for this run, e.g. `{optim: {lr: 1e-4}, freeze:
    gate}`."""

    def __post_init__(self) -> None:
        if self.data not in ("pretrain", "train"):
            raise ValueError(f"data is {self.data!r}: it must be pretrain or train")
        if self.steps < (1 if self.start == SCRATCH else 0):
            raise ValueError("steps must be at least 1, or 0 to take another run's weights")


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
