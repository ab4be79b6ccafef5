"""The records that `models` writes match the schemas with which `registry` reads them."""

import json
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from models.evaluation.evaluation_record import (
    CleanScore,
    ContaminationCount,
    EvaluationRecord,
    GroupScore,
    MetricScore,
    OverallScore,
    OverlapSelfTest,
    PlantCount,
    SuiteScore,
    TaskScore,
)
from models.evaluation.params import EvaluationParams
from models.evaluation.speed import SpeedRecord
from models.evaluation.suite import SuiteProtocol
from models.training.chain import ChainRun, TrainingChain
from models.training.execution_record import ExecutionRecord
from models.training.router_health import LayerHealth
from models.training.run_record import RunRecord, SequenceLengths, SourceLicence
from registry.schemas import (
    EvaluationRecordSchema,
    ExecutionSchema,
    RunRecordSchema,
    RunSchema,
)
from registry.speed_schema import SpeedSchema

RUN = RunRecord(
    name="moe",
    preset="tiny_switch",
    start="scratch",
    data="train",
    tasks=["cot/*"],
    tuned=True,
    seed=0,
    steps=20,
    params={"run": {}, "training": {}},
    model={"moe": {"num_experts": 8}},
    total_parameters=2000,
    active_parameters=1000,
    flops_per_token=1e6,
    training_flops=1e9,
    recomputation_flops=3e8,
    cumulative_training_flops=1e9,
    training_chain=TrainingChain(
        origin="scratch",
        runs=[
            ChainRun(
                name="moe",
                preset="tiny_switch",
                data="train",
                data_version="d",
                tasks=["cot/*"],
                steps=20,
                seed=0,
                global_batch_size=4,
                training_flops=1_000_000_000,
            )
        ],
    ),
    target_tokens=5000,
    losses={"train_loss": 1.1, "validation_loss": 1.0},
    skipped_batches=[3],
    router_health={
        "decoder.1": LayerHealth(
            load=[0.5, 0.5], drop_share=0.1, balanced_drop_share=0.05, entropy=2.0, dead_experts=0
        )
    },
    data_version="d",
    data_hashes={"data/raw": "0"},
    licences=[SourceLicence(source="cot/flan", licence="Apache-2.0", terms="open")],
    sequence=SequenceLengths(encoder_length=64, decoder_length=16),
    tokenizer_sha256="0" * 64,
    weights="weights/model.safetensors",
    weights_sha256="1" * 64,
    world_size=2,
)
EXECUTION = ExecutionRecord(
    weights_sha256="1" * 64,
    git_commit="abc",
    device="cpu",
    processor="AMD EPYC",
    training_seconds=3.5,
    flops_per_second=3e8,
    mfu=0.4,
    peak_flops=7e8,
    resumed_from_step=10,
    finished_at=1.8e9,
)
TASK = TaskScore(
    task="sample/topic",
    suite="sample",
    group="STEM",
    unit="topic",
    weight=1.0,
    weight_in_suite=1.0,
    version=2,
    answer="direct",
    metric="accuracy",
    num_fewshot=5,
    num_exemplars=99,
    num_exemplars_dropped=1,
    max_new_tokens=8,
    source_file="eval/topic.jsonl",
    split="test",
    num_published=40,
    num_items=20,
    num_contaminated=20,
    partial=True,
    partial_reason="limit",
    accuracy=0.5,
    standard_error=0.1,
    random_score=0.25,
    maximum=1.0,
    normalised=33.3,
    clean=CleanScore(num_items=0, accuracy=None, standard_error=None),
    other_metrics={"f1": MetricScore(accuracy=0.6, standard_error=0.1)},
    num_rejected=1,
    counts={"empty": 1},
    flops_per_item=1000,
    file_sha256="2" * 64,
)
EVALUATION = EvaluationRecord(
    name="moe",
    overall=OverallScore(
        accuracy=0.5,
        standard_error=0.1,
        random_score=0.25,
        normalised=33.3,
        normalised_standard_error=2.0,
        normalised_suites=["sample"],
        partial=True,
        flops_per_item=1000,
    ),
    suites=[
        SuiteScore(
            suite="sample",
            title="Sample",
            protocol=SuiteProtocol(
                follows="zero-shot", source="this project", differences=("other prompts",)
            ),
            averaged=False,
            weight=1.0,
            num_tasks=1,
            missing=["other"],
            num_items=20,
            num_contaminated=20,
            partial=True,
            partial_reason="limit",
            accuracy=0.5,
            standard_error=0.1,
            random_score=0.25,
            normalised=33.3,
            normalised_standard_error=2.0,
            clean=CleanScore(num_items=0, accuracy=None, standard_error=None),
            groups=[
                GroupScore(
                    group="STEM", num_tasks=1, partial=True, accuracy=0.5, standard_error=0.1
                )
            ],
            flops_per_item=1000,
        )
    ],
    tasks=[TASK],
    contamination={"sample": ContaminationCount(num_items=20, num_contaminated=20)},
    overlap_self_test=OverlapSelfTest(
        min_recall=0.9,
        precision=1.0,
        kinds={"verbatim": PlantCount(num_rows=10, num_matched=9, is_verbatim=True)},
        boilerplate={"fragment": PlantCount(num_rows=10, num_matched=0, is_verbatim=False)},
    ),
    data_warnings=["mixture: share of cot"],
    max_input_tokens=64,
    device="cpu",
    precision="float32",
    torch_version="2.13.0",
    weights_sha256="1" * 64,
    samples_sha256="3" * 64,
    params=EvaluationParams(),
)
SPEED = SpeedRecord(
    weights_sha256="1" * 64,
    seconds_per_item=0.02,
    fastest=0.01,
    slowest=0.03,
    reason="",
    num_items=32,
    num_passes=5,
    other_load=0.1,
    device="cpu",
    processor="AMD EPYC",
    precision="float32",
    threads=1,
    batch_size=64,
    torch_version="2.13.0",
)
CONTRACTS = pytest.mark.parametrize(
    ("record", "schema"),
    [
        (RUN, RunSchema),
        (EXECUTION, ExecutionSchema),
        (EVALUATION, EvaluationRecordSchema),
        (SPEED, SpeedSchema),
    ],
    ids=["run", "execution", "evaluation", "speed"],
)


def written(record):
    """Return the record as it is read from its JSON file."""
    return json.loads(json.dumps(record.to_dict()))


def nested_schemas(schema):
    """Yield a schema and all schemas of its fields."""
    yield schema
    for field in schema.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from nested_schemas(kind)


@CONTRACTS
def test_written_record_has_exactly_the_fields_of_the_schema(record, schema):
    value = written(record)
    validated = schema.model_validate(value, extra="forbid")
    assert validated.model_dump(mode="json") == value


@CONTRACTS
def test_schema_fields_have_no_defaults(record, schema):
    optional = [
        f"{nested.__name__}.{name}"
        for nested in nested_schemas(schema)
        for name, field in nested.model_fields.items()
        if not field.is_required()
    ]
    assert optional == []


@CONTRACTS
def test_schema_rejects_a_record_with_another_field(record, schema):
    with pytest.raises(ValidationError, match="other_field"):
        schema.model_validate({**written(record), "other_field": 1}, extra="forbid")
    if schema is EvaluationRecordSchema:
        value = written(record)
        value["tasks"][0]["other_field"] = 1
        with pytest.raises(ValidationError, match=r"tasks\.0\.other_field"):
            schema.model_validate(value, extra="forbid")


def test_run_and_execution_record_have_only_the_weights_in_common():
    """The run record holds nothing that differs between executions."""
    run, execution = written(RUN), written(EXECUTION)
    assert run.keys() & execution.keys() == {"weights_sha256"}
    validated = RunRecordSchema.model_validate(run | execution, extra="forbid")
    assert validated.model_dump(mode="json") == run | execution
