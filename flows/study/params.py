"""Schema of `studies/NAME.yaml`: a question, the models and trainings for it, and claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from data_pipelines.bounds import CountOrZero, Seed
from models.training.params import NAME, SCRATCH, TrainingCorpus

Variation = Literal["d_ff", "width"]
TERM = re.compile(r"(?P<model>\w+)/(?P<arm>\w+)")
"""Form of a term of a claim: a model and an arm."""


@dataclass(frozen=True, kw_only=True)
class StudyModel:
    """A model of a study: a preset, or sizes that the cost model chooses."""

    preset: str | None = None
    """Architecture; null: the dense counterpart of the model `matches`."""
    model: dict[str, Any] = field(default_factory=dict)
    """Changes of the preset, as in `models.runs.NAME.model`."""
    matches: str | None = None
    """Model whose FLOPs per token this one must have, `flops_ratio` times."""
    flops_ratio: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """FLOPs per token relative to the model `matches`."""
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Largest relative deviation from `flops_ratio`."""
    vary: Variation | None = None
    """Size that the cost model may change to match: d_ff, or width (d_model, d_ff and heads in
    proportion). Null: nothing of a preset; else d_ff, or the width if `flops_ratio` is not 1."""


@dataclass(frozen=True, kw_only=True)
class StudyArm:
    """A training that every model of the study goes through; arms start from each other."""

    start: str
    """`scratch`, or another arm, from which every model starts with its own weights."""
    data: TrainingCorpus = "train"
    """Packed corpus, as in `models.runs.NAME.data`."""
    tasks: tuple[str, ...] = ()
    """Tasks to train on: names or patterns; empty: the full mixture."""
    steps: CountOrZero = 1000
    """Optimizer steps, the same for all models."""
    tuned: bool = True
    """Whether the model is instruction-tuned."""
    training: dict[str, Any] = field(default_factory=dict)
    """Overrides of `models.training` for this arm."""
    models: tuple[str, ...] = ()
    """Models with this arm; empty: all."""


@dataclass(frozen=True, kw_only=True)
class ClaimPart:
    """A contrast of scores on the same items: the terms of `plus` minus those of `minus`."""

    tasks: tuple[str, ...]
    """Evaluation tasks, SUITE/TASK, or patterns of them; each task has the same weight."""
    plus: tuple[str, ...]
    """Terms MODEL/ARM that count positively."""
    minus: tuple[str, ...]
    """Terms MODEL/ARM that count negatively; as many as `plus`."""

    def __post_init__(self) -> None:
        for name in ("tasks", "plus", "minus"):
            if not getattr(self, name):
                raise ValueError(f"{name}: [] has no entry; a claim compares at least two arms")
        if len(self.plus) != len(self.minus):
            raise ValueError(
                f"minus: {len(self.minus)} terms for {len(self.plus)} of plus; both need the same "
                "number, so that the claim is about a difference"
            )


@dataclass(frozen=True, kw_only=True)
class StudyClaim:
    """A statement that the study confirms, contradicts, or leaves undecided."""

    statement: str
    """What is claimed, in a sentence."""
    source: str = ""
    """Publication that claims it."""
    primary: bool = False
    """Whether this is the claim that the study was designed for; the others are secondary."""
    above: Annotated[float, Field(ge=-1, le=1)] | None = None
    """The claim holds if the contrast is above this value; scores are between 0 and 1."""
    within: Annotated[float, Field(gt=0, le=1)] | None = None
    """The claim holds if the contrast is between minus and plus this value."""
    parts: dict[str, ClaimPart]
    """Contrasts by name, e.g. a kind of task. The claim is about their mean."""

    def __post_init__(self) -> None:
        if (self.above is None) == (self.within is None):
            raise ValueError("above: the claim needs either above or within; write one of them")
        if not self.parts:
            raise ValueError("parts: {} has no contrast; add one with tasks, plus and minus")


@dataclass(frozen=True, kw_only=True)
class StudyParams:
    """A study, the content of `studies/NAME.yaml`."""

    question: str
    """The question, as the report's heading."""
    background: str = ""
    """Why it is asked, and how the design answers it; a paragraph of the report."""
    params: str = "params.yaml"
    """Params file of the project that the runs start from."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Values that replace those of the params file, section by section."""
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further overrides by name, e.g. of the number of facts. All runs are trained for each, in a
    workspace of its own, and claims are judged for each."""
    seeds: tuple[Seed, ...]
    """Seeds of all runs; runs of the same seed are compared in pairs."""
    models: dict[str, StudyModel]
    arms: dict[str, StudyArm]
    claims: dict[str, StudyClaim] = field(default_factory=dict)
    published: tuple[str, ...] = ()
    """Published figures to show beside the results, by their names in `flows.study.published`."""

    def __post_init__(self) -> None:
        for section, example in (
            ("models", "moe: {preset: tiny_switch}"),
            ("arms", "pretrained: {start: scratch, data: prefix_lm}"),
        ):
            names: Mapping[str, object] = getattr(self, section)
            if not names:
                raise ValueError(f"{section}: {{}} has no entry; add one, e.g. {example}")
            for name in names:
                if name == SCRATCH or not re.fullmatch(NAME, name):
                    raise ValueError(
                        f"{section}: {name!r} is not a valid name; use up to 100 letters, digits "
                        f"and _, and not {SCRATCH!r}"
                    )
        if len(self.seeds) < MIN_SEEDS:
            raise ValueError(
                f"seeds: {list(self.seeds)} are fewer than {MIN_SEEDS}; a claim about models needs "
                "an interval over seeds"
            )
        for name in self.variants:
            if not re.fullmatch(NAME, name):
                raise ValueError(
                    f"variants: {name!r} is not a valid name; use letters, digits and _"
                )

    def models_of(self, arm: str) -> tuple[str, ...]:
        """Return the models that go through an arm."""
        return self.arms[arm].models or tuple(self.models)

    def has_run(self, model: str, arm: str) -> bool:
        """Return whether a model of the study goes through an arm of the study."""
        return arm in self.arms and model in self.models and model in self.models_of(arm)


MIN_SEEDS = 2
"""Fewest seeds of a study."""


def run_name(model: str, arm: str) -> str:
    """Return the name of the run that trains a model in an arm."""
    return f"{model}_{arm}"
