"""The files of a run that evaluates imported weights: no training step, no training data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from data_pipelines.files import sha256, write_bytes, write_json, write_json_lines
from models.cost.flops import count_parameters, flops_per_token
from models.replicate import Replicate
from models.training.dvclive_sink import DvcLiveSink
from models.training.execution_record import execution_record
from models.training.initialization import initialize_model, start_folder
from models.training.params import RunParams, TrainingParams
from models.training.result import Progress
from models.training.run_record import RunRecord, SequenceLengths, data_licences
from models.weights import DEFAULT_INPUT_TOKENS, hash_weights, load_weights, save_weights
from models.weights_config import WeightsConfig


def write_imported_run(
    replicate: Replicate, run: RunParams, training: TrainingParams, workspace: Path, commit: str
) -> None:
    """Write weights, tokenizer, run record and the empty logs of a run of 0 steps.

    Args:
        replicate: the run and its seed.
        run: preset and initial weights, which have their own tokenizer.
        training: settings of this run, for the record.
        workspace: folder with runs/.
        commit: commit of the code.

    Raises:
        ModelError: the weights cannot be read, or are of another architecture than the preset.
    """
    start, output = start_folder(run, replicate.seed, workspace), workspace / replicate.folder
    loaded, chain = load_weights(start), WeightsConfig.read(start).chain
    model = initialize_model(run, training, None, workspace, seed=replicate.seed)
    target = output / "weights"
    write_bytes(target / "spiece.model", (start / "spiece.model").read_bytes())
    save_weights(
        target,
        model,
        loaded.tokenizer_sha256,
        chain=chain,
        max_input_tokens=loaded.max_input_tokens,
    )
    write_json(workspace / replicate.weights_hashes, hash_weights(target))
    write_json(output / "metrics.json", {"train_loss": None, "validation_loss": None})
    for name_of_log in ("log.jsonl", "throughput.jsonl"):
        write_json_lines(output / name_of_log, [])
    DvcLiveSink(output / "live").close()
    length = loaded.max_input_tokens or DEFAULT_INPUT_TOKENS
    parameters = count_parameters(model.config)
    record = RunRecord(
        name=replicate.run,
        preset=run.preset,
        start=run.start,
        data="none",
        tasks=[],
        tuned=run.tuned,
        seed=replicate.seed,
        steps=0,
        params={"run": dataclasses.asdict(run), "training": dataclasses.asdict(training)},
        model=model.config.to_dict(),
        total_parameters=parameters.total,
        active_parameters=parameters.active,
        flops_per_token=flops_per_token(model.config),
        training_flops=0.0,
        recomputation_flops=0.0,
        cumulative_training_flops=chain.training_flops,
        training_chain=chain,
        target_tokens=0,
        losses={},
        skipped_batches=[],
        router_health={},
        data_version="none",
        data_hashes={},
        licences=data_licences([], run.start, start.parent / "run.json"),
        sequence=SequenceLengths(encoder_length=length, decoder_length=length),
        tokenizer_sha256=loaded.tokenizer_sha256,
        weights="weights/model.safetensors",
        weights_sha256=sha256(target / "model.safetensors"),
        world_size=1,
    )
    execution = execution_record(
        Progress(),
        weights_sha256=record.weights_sha256,
        training_flops=0.0,
        peak_flops=0.0,
        commit=commit,
        device=torch.device("cpu"),
    )
    write_json(output / "execution.json", execution.to_dict())
    write_json(output / "run.json", record.to_dict())
