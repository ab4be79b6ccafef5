"""Parameters of the models room: `models.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.evaluation.params import EvaluationParams
from models.training.params import TrainingParams

SCRATCH = "scratch"


@dataclass(frozen=True, kw_only=True)
class RunParams:
    """One trained model (`models.runs.NAME`)."""

    preset: str
    """Architecture: a name from `flanmoe models`."""
    start: str
    """`scratch` for random weights, or the run whose weights this one continues from. Always
    written out: dvc.yaml reads it to know which run needs which."""
    data: str = "train"
    """`pretrain` (plain text) or `train` (instructions)."""
    steps: int = 1000
    """Optimizer steps."""
    seed: int = 0
    """Weights, order of the data, dropout."""
    tuned: bool = True
    """Whether this is an instruction-tuned model; comparisons show it."""

    def __post_init__(self) -> None:
        if self.data not in ("pretrain", "train"):
            raise ValueError(f"data is {self.data!r}: it must be pretrain or train")
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ModelsParams:
    """Runs, how they are trained, how they are scored."""

    runs: dict[str, RunParams]
    training: TrainingParams = field(default_factory=TrainingParams)
    evaluation: EvaluationParams = field(default_factory=EvaluationParams)

    def __post_init__(self) -> None:
        for name, run in self.runs.items():
            if name == SCRATCH or not name.replace("_", "").isalnum():
                raise ValueError(f"runs.{name}: a run is named with letters, digits and _")
            seen = {name}
            while run.start != SCRATCH:
                if run.start not in self.runs:
                    raise ValueError(f"runs.{name}.start: there is no run {run.start!r}")
                if run.start in seen:
                    raise ValueError(f"runs.{name}.start: {run.start!r} leads back to itself")
                seen.add(run.start)
                run = self.runs[run.start]
