"""The evaluation record, which `evaluate` writes to evaluation.json and scores.json.

Accuracies and standard errors are fractions of 1, normalised scores are points of 100.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from models.evaluation.params import EvaluationParams
from models.evaluation.suite import SuiteProtocol

SCHEMA_VERSION = 2


def sum_or_none(counts: Iterable[int | None]) -> int | None:
    """Return the sum of counts; None if one of them is unknown."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """Mean of a metric with its standard error."""

    accuracy: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class CleanScore:
    """Score over the items that the training mixture does not overlap with."""

    num_items: int
    accuracy: float | None
    """None without items."""
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class TaskScore:
    """Score of one task of a suite."""

    task: str
    """SUITE/TASK."""
    suite: str
    group: str
    """Category of the task; empty without categories."""
    unit: str
    """Averaging unit: the tasks of a unit count as one in the suite's average."""
    weight: float
    """Share of the task in the overall accuracy; the weights of all tasks sum to 1."""
    weight_in_suite: float
    """Share of the task in its suite's accuracy."""
    version: int
    """Version of prompts and scoring."""
    answer: str
    """direct or cot, see `Suite.answer_mode`."""
    metric: str
    num_fewshot: int
    num_exemplars: int
    """Few-shot exemplars in all prompts."""
    num_exemplars_dropped: int
    """Few-shot exemplars that did not fit, over all prompts."""
    max_new_tokens: int
    """Maximum length of an answer, in tokens of the model's tokenizer."""
    source_file: str
    """Path of the scored file, relative to data/raw."""
    split: str
    """Split of that file; empty if the catalog does not state it."""
    num_published: int | None
    """Number of items of the complete published file; None if the catalog does not state it."""
    num_items: int
    num_contaminated: int | None
    """None if the training data is unknown."""
    partial: bool
    partial_reason: str
    accuracy: float
    """Mean of `metric`."""
    standard_error: float
    random_score: float
    """Expected accuracy of a random guess among the options."""
    maximum: float
    normalised: float
    """Position between the random score (0) and the maximum (100)."""
    clean: CleanScore
    other_metrics: dict[str, MetricScore]
    num_rejected: int
    """Rows of the source that are not valid items."""
    counts: dict[str, int]
    """Number of items with each problem of `problems.PROBLEMS`."""
    flops_per_item: int
    file_sha256: str


@dataclass(frozen=True, kw_only=True)
class GroupScore:
    """Score of the tasks of one category."""

    group: str
    num_tasks: int
    partial: bool
    accuracy: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class SuiteScore:
    """Score of a suite: the weighted mean over its tasks."""

    suite: str
    title: str
    protocol: SuiteProtocol
    """The published evaluation that the suite follows, and where it differs."""
    averaged: bool
    """Whether the suite is part of the paper's normalised average."""
    weight: float
    """Share of the suite in the overall accuracy."""
    num_tasks: int
    missing: list[str]
    """Tasks whose files are missing."""
    num_items: int
    num_contaminated: int | None
    """None if the training data is unknown."""
    partial: bool
    partial_reason: str
    accuracy: float
    standard_error: float
    random_score: float
    normalised: float
    normalised_standard_error: float
    clean: CleanScore
    groups: list[GroupScore]
    flops_per_item: int


@dataclass(frozen=True, kw_only=True)
class OverallScore:
    """Means over suites."""

    accuracy: float
    standard_error: float
    random_score: float
    normalised: float
    normalised_standard_error: float
    normalised_suites: list[str]
    """Suites in the normalised average: those of the paper if any is scored, otherwise all."""
    partial: bool
    flops_per_item: int


@dataclass(frozen=True, kw_only=True)
class ContaminationCount:
    """Items of a suite, and how many of them the training mixture overlaps with."""

    num_items: int
    num_contaminated: int


@dataclass(frozen=True, kw_only=True)
class PlantCount:
    """Rows of one kind in the self-test of the contamination check."""

    num_rows: int
    num_matched: int
    is_verbatim: bool


@dataclass(frozen=True, kw_only=True)
class OverlapSelfTest:
    """Self-test of the contamination check on overlaps planted in the mixture.

    Without a self-test, recall and precision are 0.
    """

    min_recall: float = 0.0
    """Smallest recall of a kind of verbatim plants."""
    precision: float = 0.0
    """Share of plants among the matched rows, rows with boilerplate only included."""
    kinds: dict[str, PlantCount] = field(default_factory=dict)
    boilerplate: dict[str, PlantCount] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> OverlapSelfTest:
        """Return the content of data/mixture/self_test.json."""
        return cls(
            min_recall=content["min_recall"],
            precision=content["precision"],
            kinds={kind: PlantCount(**count) for kind, count in content["kinds"].items()},
            boilerplate={
                kind: PlantCount(**count) for kind, count in content["boilerplate"].items()
            },
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """The result of one evaluation."""

    name: str
    overall: OverallScore
    suites: list[SuiteScore]
    tasks: list[TaskScore]
    contamination: dict[str, ContaminationCount]
    """Every suite that the training mixture was checked against, evaluated here or not."""
    overlap_self_test: OverlapSelfTest | None
    """None if the training data is unknown."""
    data_warnings: list[str]
    """Data expectations that fail without blocking."""
    max_input_tokens: int
    device: str
    """Type of the device that computed the scores: cpu or cuda."""
    precision: str
    """Precision of the matrix products, e.g. float32 or bfloat16."""
    torch_version: str
    weights_sha256: str
    samples_sha256: str
    params: EvaluationParams

    def to_dict(self) -> dict[str, Any]:
        """Return the content of evaluation.json."""
        fields = dataclasses.asdict(self)
        return {
            "schema_version": SCHEMA_VERSION,
            **fields.pop("overall"),
            **fields,
            "num_items": sum(task.num_items for task in self.tasks),
            "num_contaminated": sum_or_none(task.num_contaminated for task in self.tasks),
        }

    def metrics(self) -> dict[str, Any]:
        """Return the content of scores.json, the metrics that DVC compares."""
        return {
            "accuracy": self.overall.accuracy,
            "standard_error": self.overall.standard_error,
            "random_score": self.overall.random_score,
            "normalised": self.overall.normalised,
            "suites": {suite.suite: round(suite.accuracy, 4) for suite in self.suites},
        }
