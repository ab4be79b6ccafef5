"""Schemas of the records that `models` writes, schema version 2.

The writers are dataclasses (models.training.run_record, models.evaluation.evaluation_record); a
contract test checks that both sides agree. Version 1 records are translated first
(registry.record_upgrades). Fields that are not named here are preserved.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

SCHEMA_VERSION = 2
SCRATCH = "scratch"
"""Origin of a training chain that began with random weights."""
UNKNOWN = "unknown"
"""Origin of a training chain that release 0.1.0 did not record."""


LongInt = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""An integer that every database can store."""
ShortText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A text of one line that every database can store."""
Name = Annotated[ShortText, StringConstraints(min_length=1)]


class RecordSchema(BaseModel):
    """Base of the schemas: immutable, tolerant of additional fields."""

    model_config = ConfigDict(extra="allow", frozen=True)


class SequenceSchema(RecordSchema):
    """Lengths that the model was trained at, in tokens."""

    encoder_length: int = Field(gt=0)
    decoder_length: int = Field(gt=0)


class LayerHealthSchema(RecordSchema):
    """Router statistics of one MoE layer."""

    load: tuple[float, ...]
    """Share of the tokens that each expert received."""
    drop_share: float
    """Share of the assignments that were dropped."""
    balanced_drop_share: float
    """Share that the capacity would drop if all experts had the same load; 0 in records of release
    0.1.0."""
    entropy: float
    """Mean entropy of the router's distribution, in nats."""
    dead_experts: int = Field(ge=0)
    """Experts that received no token."""


class ChainRunSchema(RecordSchema):
    """One run of a training chain: its recipe and its own cost."""

    name: str
    preset: str
    data: str
    data_version: str
    tasks: tuple[str, ...]
    steps: int = Field(ge=0)
    seed: int
    global_batch_size: int = Field(gt=0)
    training_flops: float = Field(ge=0)


class TrainingChainSchema(RecordSchema):
    """The runs that led to the weights of a run, oldest first."""

    origin: str
    """`scratch`, the SHA-256 of imported weights, or `unknown`."""
    runs: tuple[ChainRunSchema, ...]


class SourceLicenceSchema(RecordSchema):
    """A licence of data that a run, or a run that it starts from, trained on."""

    source: str
    licence: str
    """As the publisher words it; `unknown` if none is stated."""
    terms: Literal["open", "share-alike", "non-commercial", "unstated"]


class ExecutionSchema(RecordSchema):
    """runs/NAME/seed_N/execution.json: how a run was executed, which differs at every repetition.

    A value is None if it was not recorded, as in a clone without the file.
    """

    weights_sha256: str
    git_commit: ShortText
    """`unknown` if it was not recorded."""
    device: str | None
    """Type of the device: cpu or cuda."""
    processor: str | None
    training_seconds: float | None = Field(ge=0)
    flops_per_second: float | None = Field(ge=0)
    mfu: float | None = Field(ge=0)
    peak_flops: float | None = Field(ge=0)
    resumed_from_step: int | None = Field(ge=0)
    finished_at: float | None
    """Unix time, in seconds."""


class RunSchema(RecordSchema):
    """runs/NAME/seed_N/run.json: what was trained, from what, and at which cost."""

    schema_version: Literal[2]
    name: Name
    preset: str
    start: str
    """Name of the run whose weights were the initialisation, or `scratch`."""
    data: str
    tasks: tuple[str, ...]
    """Tasks of the mixture that were used; empty: all."""
    tuned: bool
    """Whether the model is instruction-tuned."""
    seed: LongInt
    steps: int = Field(ge=0)
    params: dict[str, Any]
    model: dict[str, Any]
    """The model's configuration; its key `moe` is null for a dense model."""
    total_parameters: LongInt = Field(gt=0)
    active_parameters: LongInt = Field(gt=0)
    flops_per_token: float = Field(gt=0)
    training_flops: float = Field(ge=0)
    """Of this run alone."""
    recomputation_flops: float | None = Field(ge=0)
    """Activation checkpointing's second forward passes; None if they were not recorded."""
    cumulative_training_flops: float | None = Field(ge=0)
    """Of all runs of the training chain; None if it began with weights of unknown cost."""
    training_chain: TrainingChainSchema
    target_tokens: int = Field(ge=0)
    losses: dict[str, float]
    skipped_batches: tuple[int, ...]
    router_health: dict[str, LayerHealthSchema]
    """By MoE layer; empty for a dense model."""
    data_version: ShortText
    data_hashes: dict[str, str]
    licences: tuple[SourceLicenceSchema, ...] | None
    """Of the data of the run and of the runs that it starts from; None: not recorded."""
    sequence: SequenceSchema
    tokenizer_sha256: str
    weights: str
    weights_sha256: str
    world_size: int = Field(gt=0)

    @property
    def is_moe(self) -> bool:
        """Whether the model has experts."""
        return bool(self.model.get("moe"))


class RunRecordSchema(ExecutionSchema, RunSchema):
    """A run with its execution, as the registry stores it."""


class ScoreSchema(RecordSchema):
    """A mean score and its standard error."""

    accuracy: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)


class CleanScoreSchema(RecordSchema):
    """The score on the items that do not overlap with the training mixture."""

    num_items: int = Field(ge=0)
    accuracy: float | None = Field(ge=0, le=1)
    """None if every item overlaps."""
    standard_error: float | None = Field(ge=0)


class GroupScoreSchema(RecordSchema):
    """The mean over a group of tasks, such as the STEM subjects of MMLU."""

    group: str
    num_tasks: int = Field(gt=0)
    partial: bool
    accuracy: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)


class ContaminationSchema(RecordSchema):
    """Overlap of a suite's files with the training mixture."""

    num_items: int = Field(ge=0)
    num_contaminated: int = Field(ge=0)


class PlantCountSchema(RecordSchema):
    """Rows of one kind in the self-test of the contamination check."""

    num_rows: int = Field(gt=0)
    num_matched: int = Field(ge=0)
    is_verbatim: bool


class OverlapSelfTestSchema(RecordSchema):
    """Self-test of the contamination check on overlaps planted in the mixture."""

    min_recall: float = Field(ge=0, le=1)
    """Smallest recall of a kind of verbatim plants."""
    precision: float = Field(ge=0, le=1)
    """Share of plants among the matched rows, rows with boilerplate only included."""
    kinds: dict[str, PlantCountSchema]
    boilerplate: dict[str, PlantCountSchema]


class TaskScoreSchema(RecordSchema):
    """One task of an evaluation record."""

    task: Name
    suite: Name
    group: str
    unit: str
    """Tasks of one unit count once in the suite's average."""
    weight: float = Field(gt=0, le=1)
    """Share of the overall accuracy; the weights of all tasks sum to 1."""
    weight_in_suite: float = Field(gt=0, le=1)
    """Share of the suite's accuracy."""
    version: int
    """Version of the scoring code."""
    answer: str
    metric: str
    num_fewshot: int = Field(ge=0)
    num_exemplars: int | None = Field(ge=0)
    """Few-shot exemplars in all prompts; None if they were not counted."""
    num_exemplars_dropped: int = Field(ge=0)
    max_new_tokens: int = Field(ge=0)
    source_file: str
    """Scored file; empty if it was not recorded."""
    split: str
    """Split of the scored file; empty if it is unknown."""
    num_published: int | None = Field(ge=0)
    """Items of the complete published file; None if the number is unknown."""
    num_items: int = Field(gt=0)
    num_contaminated: int | None = Field(ge=0)
    """Items that overlap with the training mixture; None if they were not counted."""
    partial: bool
    partial_reason: str
    accuracy: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)
    random_score: float = Field(ge=0, lt=1)
    maximum: float
    normalised: float
    clean: CleanScoreSchema
    other_metrics: dict[str, ScoreSchema]
    num_rejected: int = Field(ge=0)
    counts: dict[str, int]
    flops_per_item: float = Field(gt=0)
    file_sha256: str


class ProtocolSchema(RecordSchema):
    """The published evaluation that a suite follows, and where it differs."""

    follows: str
    """Empty if it was not recorded."""
    source: str
    differences: tuple[str, ...]


class SuiteScoreSchema(RecordSchema):
    """One suite of an evaluation record."""

    suite: Name
    title: str
    protocol: ProtocolSchema
    averaged: bool
    """Whether the paper's normalised average includes the suite."""
    weight: float = Field(gt=0, le=1)
    """Share of the overall accuracy."""
    num_tasks: int = Field(gt=0)
    missing: tuple[str, ...]
    num_items: int = Field(gt=0)
    num_contaminated: int | None = Field(ge=0)
    partial: bool
    partial_reason: str
    accuracy: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)
    random_score: float = Field(ge=0, lt=1)
    normalised: float
    normalised_standard_error: float = Field(ge=0)
    clean: CleanScoreSchema
    groups: tuple[GroupScoreSchema, ...]
    flops_per_item: float = Field(gt=0)


class EvaluationRecordSchema(RecordSchema):
    """runs/NAME/seed_N/evaluation.json: scores of all tasks and suites, with their averages."""

    schema_version: Literal[2]
    name: str
    accuracy: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)
    random_score: float = Field(ge=0, lt=1)
    normalised: float
    normalised_standard_error: float = Field(ge=0)
    normalised_suites: tuple[str, ...]
    partial: bool
    flops_per_item: float = Field(gt=0)
    num_items: int = Field(gt=0, lt=2**31)
    num_contaminated: int | None = Field(ge=0)
    contamination: dict[str, ContaminationSchema]
    """By suite of data/eval_data, whether scored here or not."""
    overlap_self_test: OverlapSelfTestSchema | None
    """None if the training data was unknown, and in records of a release without the self-test."""
    data_warnings: tuple[str, ...]
    suites: tuple[SuiteScoreSchema, ...] = Field(min_length=1)
    tasks: tuple[TaskScoreSchema, ...] = Field(min_length=1)
    max_input_tokens: int = Field(gt=0)
    device: str
    precision: str
    torch_version: str
    """Empty if it is unknown."""
    weights_sha256: str
    samples_sha256: str
    params: dict[str, Any]

    @field_validator("suites", "tasks")
    @classmethod
    def _names_differ(cls, scores: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [
            score.task if isinstance(score, TaskScoreSchema) else score.suite for score in scores
        ]
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{name!r} occurs {count} times; expected once")
        return scores
